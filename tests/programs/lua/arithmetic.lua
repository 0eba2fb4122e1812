-- Integer and float semantics, the math library, bitwise operators, conversions at the edges.
local values = { 0, 1, -1, 2, 3, -3, 7, 0.5, -0.5, 3.0, -7.25, 1e15, 2^53, -2^53, 2^63, math.maxinteger, math.mininteger, 1/0, -1/0, -0.0 }
local function text(x) if x ~= x then return "nan" end return tostring(x) end -- a NaN's sign is nobody's business
local operators = {
  ["+"] = function(a, b) return a + b end, ["-"] = function(a, b) return a - b end, ["*"] = function(a, b) return a * b end,
  ["/"] = function(a, b) return a / b end, ["//"] = function(a, b) return a // b end, ["%"] = function(a, b) return a % b end,
  ["<"] = function(a, b) return a < b end, ["=="] = function(a, b) return a == b end, ["<="] = function(a, b) return a <= b end,
  ["&"] = function(a, b) return a & b end, ["|"] = function(a, b) return a | b end, ["~"] = function(a, b) return a ~ b end,
  ["<<"] = function(a, b) return a << b end, [">>"] = function(a, b) return a >> b end,
}
local names = {}
for name in pairs(operators) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do
  for _, a in ipairs(values) do
    local row = {}
    for i, b in ipairs(values) do
      local ok, result = pcall(operators[name], a, b)
      row[i] = ok and text(result) or "!" .. result:match("[^:]*$")
    end
    print(name, text(a), table.concat(row, " "))
  end
end
for _, x in ipairs { 0.5, 1.5, 2.5, -0.5, -1.5, 3.7, -3.7, 1e300, 2^62, 7 } do
  print(x, math.floor(x), math.ceil(x), math.abs(x), math.tointeger(x), math.type(x), text(math.fmod(x, 3)), math.modf(x))
end
for i = -20, 20 do -- ten digits: the last ones differ between C libraries
  local x = i * 0.37
  print(("%.10g %.10g %.10g %.10g %.10g %.10g"):format(math.sin(x), math.cos(x), math.tan(x), math.exp(x), math.atan(x, 2), math.sqrt(math.abs(x))))
  if x > 0 then print(("%.10g %.10g %.10g %.10g"):format(math.log(x), math.log(x, 2), math.log(x, 10), x ^ 1.7)) end
end
print(math.ult(1, -1), math.maxinteger + 1 == math.mininteger, math.maxinteger // -1, math.mininteger // -1, math.mininteger % -1)
print(5 // 0.0, -5 // 0.0, text(0.0 / 0.0), 5 % math.huge, -5 % math.huge, 3 | 0, 3.0 | 0, "10" + 5, "0x10" * 2, 10 .. 20)
print(1 == 1.0, math.maxinteger + 0.0 == math.maxinteger, 2^53 == 2^53 + 1, 1 < 1.5, math.mininteger < -2^63, "a" < "b", "a" < "B", "" < "a")
local fibonacci = { 1, 1 }
for i = 3, 100 do fibonacci[i] = fibonacci[i - 1] + fibonacci[i - 2] end
print(fibonacci[90], fibonacci[93], fibonacci[100])
math.randomseed(42)
for _ = 1, 20 do io.write(math.random(0), " ", math.random(100), " ", ("%.17g"):format(math.random()), "\n") end
local function collatz(n) local steps = 0 while n ~= 1 do n = n % 2 == 0 and n // 2 or 3 * n + 1; steps = steps + 1 end return steps end
local best, at = 0, 0
for i = 1, 20000 do local s = collatz(i) if s > best then best, at = s, i end end
print(best, at)
local hash = 0x811c9dc5
for i = 1, 100000 do hash = ((hash ~ (i & 0xff)) * 0x01000193) & 0xffffffff end
print(("%08x"):format(hash))
