-- Work for the garbage collector and the allocator: trees, lists, strings of all sizes, both collector modes.
local function tree(depth) if depth == 0 then return {} end return { tree(depth - 1), tree(depth - 1) } end
local function check(node) return node[1] and 1 + check(node[1]) + check(node[2]) or 1 end
for _, mode in ipairs { "incremental", "generational" } do
  collectgarbage(mode)
  local long_lived = tree(13)
  for depth = 4, 12, 4 do
    local sum = 0
    for _ = 1, 1 << (12 - depth + 4) do sum = sum + check(tree(depth)) end
    print(mode, depth, sum)
  end
  print(mode, check(long_lived))
end
collectgarbage("incremental")

local kept, digest = {}, 0
local seed = 1
for i = 1, 60000 do
  seed = (seed * 16807) % 2147483647
  local text = string.rep(string.char(97 + seed % 26), seed % 257) .. i
  kept[seed % 500] = { text, #text, kept[(seed * 7) % 500] and kept[(seed * 7) % 500][1] }
  digest = (digest * 31 + #text + text:byte(1)) % 1000000007
end
print(digest)

local list
for i = 1, 100000 do list = { next = list, value = i } end
local sum = 0
while list do sum = sum + list.value; list = list.next end
print(sum)

local big = {}
for i = 1, 20 do big[i] = string.rep("block" .. i, 50000) end
local joined = table.concat(big)
print(#joined, joined:sub(1, 12), joined:sub(-12))
big, joined, kept = nil, nil, nil
collectgarbage()
print(collectgarbage("count") < 4096)
for _ = 1, 50 do local huge = string.rep("x", 1 << 20); assert(#huge == 1048576) end
local hash = {}
for i = 1, 50000 do hash["key" .. i] = i end
for i = 1, 50000, 2 do hash["key" .. i] = nil end
local n, total = 0, 0
for _, v in pairs(hash) do n, total = n + 1, total + v end
print(n, total)
