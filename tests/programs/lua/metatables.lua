-- Metatables: arithmetic, comparison, index chains, call, length, concat, close, gc, iteration, inheritance.
local Vector = {}
Vector.__index = Vector
local function vector(x, y) return setmetatable({ x = x, y = y }, Vector) end
function Vector.__add(a, b) return vector(a.x + b.x, a.y + b.y) end
function Vector.__sub(a, b) return vector(a.x - b.x, a.y - b.y) end
function Vector.__mul(a, b)
  if type(a) == "number" then return vector(a * b.x, a * b.y) end
  if type(b) == "number" then return vector(a.x * b, a.y * b) end
  return a.x * b.x + a.y * b.y
end
function Vector.__unm(a) return vector(-a.x, -a.y) end
function Vector.__eq(a, b) return a.x == b.x and a.y == b.y end
function Vector.__lt(a, b) return a.x < b.x end
function Vector.__le(a, b) return a.x <= b.x end
function Vector.__len() return 2 end
function Vector.__call(self, factor) return self * factor end
function Vector.__concat(a, b) return tostring(a) .. "~" .. tostring(b) end
function Vector.__tostring(a) return ("(%g, %g)"):format(a.x, a.y) end
function Vector.__idiv(a, b) return vector(a.x // b, a.y // b) end
function Vector.__mod(a, b) return vector(a.x % b, a.y % b) end
function Vector.__pow(a, b) return vector(a.x ^ b, a.y ^ b) end
function Vector.__band(a, b) return a.x & b end
function Vector.__shl(a, b) return a.x << b end
function Vector.__bnot(a) return ~a.x end
local a, b = vector(3, 4), vector(-1, 2)
print(tostring(a + b), tostring(a - b), a * b, tostring(2 * a), tostring(a * 2), tostring(-a), a == b, a == vector(3, 4))
print(a < b, a <= b, a > b, #a, tostring(a(10)), a .. b, a .. "!", 1 .. a, tostring(a // 2), tostring(a % 2), tostring(a ^ 2), a & 2, a << 3, ~a)

local base = setmetatable({}, { __index = function(_, key) return key .. "?" end })
local middle = setmetatable({ here = "middle" }, { __index = base })
local top = setmetatable({}, { __index = middle, __newindex = function(t, k, v) rawset(t, k, v .. "!") end })
top.set = "value"
print(top.here, top.missing, top.set, rawget(top, "here"), rawlen({ 1, 2, 3 }), rawequal(a, vector(3, 4)))

local Animal = {}; Animal.__index = Animal
function Animal.new(class, name) return setmetatable({ name = name }, class) end
function Animal:speak() return self.name .. " makes " .. self:noise() end
local Dog = setmetatable({ noise = function() return "woof" end }, { __index = Animal }); Dog.__index = Dog
local Puppy = setmetatable({ noise = function(self) return "small " .. Dog.noise(self) end }, { __index = Dog }); Puppy.__index = Puppy
print(Animal.new(Dog, "Rex"):speak(), Animal.new(Puppy, "Bit"):speak())

local proxy = setmetatable({}, { __pairs = function(t) return function(_, k) if (k or 0) < 3 then return (k or 0) + 1, "p" end end, t, nil end })
for k, v in pairs(proxy) do io.write(k, v, " ") end
print()
print(getmetatable("x").__index == string, getmetatable(setmetatable({}, { __metatable = "locked" })), pcall(setmetatable, setmetatable({}, { __metatable = 1 }), {}))

local finalized = 0
for _ = 1, 1000 do setmetatable({}, { __gc = function() finalized = finalized + 1 end }) end
collectgarbage(); collectgarbage()
print(finalized)
local weak = setmetatable({}, { __mode = "v" })
for i = 1, 100 do weak[i] = {} end
weak.kept = a
collectgarbage()
local left = 0
for _ in pairs(weak) do left = left + 1 end
print(left, weak.kept == a)
local ephemeron = setmetatable({}, { __mode = "k" })
for i = 1, 100 do local key = {}; ephemeron[key] = { key } end
collectgarbage()
print(next(ephemeron))
