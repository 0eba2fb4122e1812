-- Closures, upvalues shared between them, varargs, goto, integer for-loops at their limits, tail calls.
local function counter(step)
  local count = 0
  return function() count = count + step; return count end, function() return count end
end
local bump, peek = counter(3)
for _ = 1, 5 do bump() end
print(bump(), peek())

local makers = {}
for i = 1, 5 do makers[i] = function(x) i = i + x; return i end end
for i = 1, 5 do io.write(makers[i](10), " ", makers[i](100), "\n") end

local function compose(...)
  local functions = table.pack(...)
  return function(...)
    local values = table.pack(...)
    for i = functions.n, 1, -1 do values = table.pack(functions[i](table.unpack(values, 1, values.n))) end
    return table.unpack(values, 1, values.n)
  end
end
print(compose(function(a, b) return a - b end, function(a, b) return b, a end)(1, 10))
print(select("#", nil, nil, nil), select(-2, "a", "b", "c"))

local function loop(n, accumulator)
  if n == 0 then return accumulator end
  return loop(n - 1, accumulator + n)
end
print(loop(200000, 0))

for i = math.maxinteger - 2, math.maxinteger do io.write(i, " ") end
for i = math.mininteger + 2, math.mininteger, -1 do io.write(i, " ") end
for x = 1.0, 0, -0.25 do io.write(x, " ") end
print()

do
  local i = 1
  ::top::
  if i <= 3 then io.write("goto ", i, "; "); i = i + 1; goto top end
  print()
end

do
  local log = {}
  local function resource(name)
    return setmetatable({}, { __close = function(_, why) log[#log + 1] = name .. ":" .. tostring(why) end })
  end
  do local a <close> = resource("a"); local b <close> = resource("b") end
  pcall(function() local c <close> = resource("c"); error("broke", 0) end)
  print(table.concat(log, " "))
end

local source = "local a, b = ...; return function(c) return a * b + c end"
print(load(source)(6, 7)(0), load("return 1 +")) 
print(#string.dump(load(source)) > 100, load(string.dump(load(source)), "x", "b")(3, 4)(5))
