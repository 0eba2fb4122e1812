/* What both JavaScript engines run: closures, objects, strings, arrays, sorting, exceptions. */
#pragma once

static const char script[] =
	"(function (rounds) {\n"
	"  function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }\n"
	"  function Point(x, y) { this.x = x; this.y = y; }\n"
	"  Point.prototype.add = function (p) { return new Point(this.x + p.x, this.y + p.y); };\n"
	"  function words(n) {\n"
	"    var counts = {}, i, w;\n"
	"    for (i = 0; i < n; i++) { w = 'w' + (i * i % 97); counts[w] = (counts[w] || 0) + w.length; }\n"
	"    return Object.keys(counts).sort().map(function (k) { return k + '=' + counts[k]; }).join(',');\n"
	"  }\n"
	"  function sieve(n) {\n"
	"    var composite = [], primes = 0, i, j;\n"
	"    for (i = 2; i < n; i++) if (!composite[i]) { primes++; for (j = i * i; j < n; j += i) composite[j] = true; }\n"
	"    return primes;\n"
	"  }\n"
	"  var total = 0, round, i, p;\n"
	"  for (round = 0; round < rounds; round++) {\n"
	"    total += fib(15) + sieve(2000) + words(500).replace(/[0-9]+/g, '#').length;\n"
	"    for (p = new Point(0, 0), i = 0; i < 1000; i++) p = p.add(new Point(i, 1));\n"
	"    total += p.x + p.y;\n"
	"    for (i = 0; i < 100; i++) try { throw new Error('e' + i); } catch (e) { total += e.message.length; }\n"
	"    total += JSON.parse(JSON.stringify({ a: [1, 2, { b: round }] })).a[2].b;\n"
	"  }\n"
	"  return String(total);\n"
	"})";
