-- Coroutines: generators, symmetric transfer, errors across them, wrap, close, thousands alive at once.
local function walk(tree)
  if tree then walk(tree.left); coroutine.yield(tree.key); walk(tree.right) end
end
local function insert(tree, key)
  if not tree then return { key = key } end
  local side = key < tree.key and "left" or "right"
  tree[side] = insert(tree[side], key)
  return tree
end
local tree
local seed = 12345
for _ = 1, 200 do seed = (seed * 1103515245 + 12345) % 2147483648; tree = insert(tree, seed % 1000) end
local keys = {}
for key in coroutine.wrap(function() walk(tree) end) do keys[#keys + 1] = key end
print(#keys, table.concat(keys, " "))

local function permutations(items, n)
  n = n or #items
  if n <= 1 then coroutine.yield(items) end
  for i = 1, n do
    items[n], items[i] = items[i], items[n]
    permutations(items, n - 1)
    items[n], items[i] = items[i], items[n]
  end
end
local count, last = 0, nil
for p in coroutine.wrap(function() permutations { 1, 2, 3, 4, 5, 6 } end) do count = count + 1; last = table.concat(p) end
print(count, last)

local echo = coroutine.create(function(...)
  local arguments = table.pack(...)
  while true do arguments = table.pack(coroutine.yield(arguments.n, table.unpack(arguments, 1, arguments.n))) end
end)
print(coroutine.resume(echo, 1, nil, 3))
print(coroutine.resume(echo))
print(coroutine.resume(echo, "x"), coroutine.status(echo))
print(coroutine.close(echo), coroutine.status(echo), coroutine.resume(echo))

local failing = coroutine.create(function() coroutine.yield(1); error({ code = 7 }) end)
print(coroutine.resume(failing))
local ok, problem = coroutine.resume(failing)
print(ok, problem.code, coroutine.status(failing))
print(pcall(coroutine.wrap(function() error("inside", 0) end)))
print(coroutine.isyieldable(), coroutine.wrap(function() return coroutine.isyieldable() end)())
print(pcall(coroutine.yield, 1))

print(coroutine.wrap(function()
  return pcall(function() local x = coroutine.yield("from inside pcall"); error("got " .. tostring(x), 0) end)
end)())
local through = coroutine.wrap(function()
  return pcall(function() error("got " .. tostring(coroutine.yield("yielded through pcall")), 0) end)
end)
print(through()); print(through(99))

local many = {}
for i = 1, 5000 do
  many[i] = coroutine.wrap(function() local sum = i; while true do sum = sum + coroutine.yield(sum) end end)
  many[i]()
end
local total = 0
for round = 1, 5 do for i = 1, #many do total = total + many[i](round) end end
print(total)

local function nest(depth) if depth == 0 then return "bottom" end return coroutine.wrap(nest)(depth - 1) end
print(nest(100), (select(2, pcall(nest, 250))):match("C stack overflow"))
