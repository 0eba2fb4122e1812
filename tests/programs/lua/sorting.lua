-- table.sort with many orders, table.move, insert, remove, unpack, concat; the sieve; matrix; queens; fannkuch.
local seed = 42
local function random(n) seed = (seed * 6364136223846793005 + 1442695040888963407); return (seed >> 33) % n end
for _, n in ipairs { 0, 1, 2, 3, 10, 100, 1000, 20000 } do
  local t = {}
  for i = 1, n do t[i] = random(1000000) end
  table.sort(t)
  local sorted = true
  for i = 2, n do sorted = sorted and t[i - 1] <= t[i] end
  table.sort(t, function(a, b) return a > b end)
  print(n, sorted, t[1], t[n], t[n // 2 + 1])
end
local strings = {}
for i = 1, 2000 do strings[i] = ("%c%c%d"):format(97 + random(26), 65 + random(26), random(100)) end
table.sort(strings)
print(table.concat(strings, " ", 1, 20), table.concat(strings, " ", 1981))
local mixed = { 3, 1.5, 2, -0.0, 1e300, -1e300, math.mininteger, math.maxinteger, 2^53, 2^53 + 1 | 0 }
table.sort(mixed)
print(table.concat(mixed, " "))
print(pcall(table.sort, { 1, "x", 2 }))
print((select(2, pcall(table.sort, { 5, 3, 4, 1, 2, 9, 8, 7, 6, 10 }, function() return true end))))
print(table.unpack(table.move({ 1, 2, 3, 4, 5 }, 2, 5, 3)))
print(table.unpack({ 1, 2, 3 }, -1, 4))
local queue = {}
for i = 1, 100 do table.insert(queue, 1, i) end
local popped = 0
while #queue > 0 do popped = popped * 3 % 1000003 + table.remove(queue, 1 + popped % #queue) end
print(popped)

local sieve, primes = {}, 0
for i = 2, 100000 do if not sieve[i] then primes = primes + 1; for j = i * i, 100000, i do sieve[j] = true end end end
print(primes)

local n = 40
local A, B, trace = {}, {}, 0
for i = 1, n do A[i], B[i] = {}, {}; for j = 1, n do A[i][j], B[i][j] = i / j, j / (i + 1) end end
for i = 1, n do for k = 1, n do local s = 0; for j = 1, n do s = s + A[i][j] * B[j][k] end; if i == k then trace = trace + s end end end
print(("%.17g"):format(trace))

local function queens(size)
  local solutions, columns, up, down = 0, {}, {}, {}
  local function place(row)
    if row > size then solutions = solutions + 1 return end
    for c = 1, size do
      if not (columns[c] or up[row + c] or down[row - c]) then
        columns[c], up[row + c], down[row - c] = true, true, true
        place(row + 1)
        columns[c], up[row + c], down[row - c] = nil, nil, nil
      end
    end
  end
  place(1)
  return solutions
end
print(queens(8))
