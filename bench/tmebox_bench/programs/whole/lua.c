/* Lua runs a script: closures, tables, strings, methods, coroutines, errors. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "../bench.h"

static const char script[] =
	"local rounds = ...\n"
	"local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end\n"
	"local Account = {}; Account.__index = Account\n"
	"function Account.new(b) return setmetatable({balance = b}, Account) end\n"
	"function Account:deposit(v) self.balance = self.balance + v; return self end\n"
	"local function words(n)\n"
	"  local counts = {}\n"
	"  for i = 1, n do\n"
	"    local w = string.format('w%d', i * i % 97)\n"
	"    counts[w] = (counts[w] or 0) + #w\n"
	"  end\n"
	"  local keys = {}\n"
	"  for k in pairs(counts) do keys[#keys + 1] = k end\n"
	"  table.sort(keys)\n"
	"  local out = {}\n"
	"  for _, k in ipairs(keys) do out[#out + 1] = k .. '=' .. counts[k] end\n"
	"  return table.concat(out, ','):gsub('%d+', function(d) return d + 1 end)\n"
	"end\n"
	"local function sieve(n)\n"
	"  local composite, primes = {}, 0\n"
	"  for i = 2, n do\n"
	"    if not composite[i] then primes = primes + 1; for j = i * i, n, i do composite[j] = true end end\n"
	"  end\n"
	"  return primes\n"
	"end\n"
	"local function generate(n) return coroutine.wrap(function() for i = 1, n do coroutine.yield(i * 0.5) end end) end\n"
	"local total = 0\n"
	"for round = 1, rounds do\n"
	"  total = total + fib(17) + sieve(4000) + #words(1500)\n"
	"  local a = Account.new(round)\n"
	"  for i = 1, 3000 do a:deposit(i % 7) end\n"
	"  total = total + a.balance\n"
	"  for v in generate(500) do total = total + v end\n"
	"  for i = 1, 100 do if not pcall(error, i) then total = total + 1 end end\n"
	"end\n"
	"return string.format('%.3f', total)\n";

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	lua_State *lua = need(luaL_newstate());
	luaL_openlibs(lua);
	int failed = luaL_loadstring(lua, script);
	if (!failed) {
		lua_pushinteger(lua, rounds);
		failed = lua_pcall(lua, 1, 1, 0);
	}
	puts(lua_tostring(lua, -1));
	lua_close(lua);
	return failed;
}
