-- pcall, error, xpcall, assert, tracebacks, the interpreter's own messages, errors thrown through C functions.
local function show(...) -- tables are shown by content: their addresses differ from run to run
  local row = table.pack(...)
  for i = 1, row.n do
    row[i] = type(row[i]) == "table" and "{" .. tostring(row[i][1]) .. "}" or tostring(row[i])
  end
  print(table.concat(row, "\t", 1, row.n))
end
show(pcall(error)); show(pcall(error, nil)); show(pcall(error, "text", 0)); show(pcall(error, { "table" }))
show(pcall(error, "where", 1)); show(pcall(error, "caller", 2))
local bad = {
  function() return 1 + {} end, function() return "a" + 1 end, function() return "a" .. {} end, function() return #5 end,
  function() return nil .. "x" end, function() local t; t.x = 1 end, function() return undefined_thing.field end,
  function() return 1 < "2" end, function() return {} < {} end, function() return 1 // 0 end, function() return 1 % 0 end,
  function() return 1 << 2.5 end, function() return "x" | 1 end, function() return 2^63 | 0 end, function() ("x")() end,
  function() return math.tointeger("8") .. "" end, function() string.rep("x", 1 << 40) end, function() return ("x"):rep(-1) end,
  function() setmetatable(1, {}) end, function() for i = 1, 10, 0 do end end, function() for i = "a", 2 do end end,
  function() return string.format("%d", 1.5) end, function() return string.format("%y", 1) end, function() return ("x"):bad() end,
  function() table.concat({ 1, {}, 3 }) end, function() table.insert({}, 5, 5) end, function() return select(0) end,
  function() local t = setmetatable({}, { __index = function(_, k) error("no " .. k, 0) end }); return t.field end,
  function() return tostring(setmetatable({}, { __tostring = function() return 1 end })) end,
  function() error(setmetatable({}, { __tostring = function() return "dressed" end })) end,
  function() local a <const> = 1; return load("local a <const> = 1; a = 2")() end,
  function() assert(false) end, function() assert(nil, "because") end, function() assert(1 == 1, "fine"); return "passed" end,
  function() return string.pack("i17", 1) end, function() return utf8.char(-1) end, function() return utf8.codepoint("\xff") end,
}
for i, f in ipairs(bad) do
  local ok, message = pcall(f)
  print(i, ok, (tostring(message)))
end

local function deep(n) if n == 0 then error("at the bottom") end deep(n - 1); return n end
print(xpcall(deep, function(m) return "handled: " .. m end, 10))
print((select(2, xpcall(deep, debug.traceback, 3)):gsub("%[C%].*", "[C]")))
print(pcall(pcall)); print(pcall(pcall, error, "x"))
print(select("#", pcall(xpcall, error, print)))

local function overflow() return 1 + overflow() end
local ok, message = pcall(overflow)
print(ok, message:match("stack overflow"))
local ok2, message2 = pcall(string.rep, "x", -1)
print(ok2, message2 == "")
print(pcall(string.gsub, "abc", "%w", function(c) error("in callback " .. c, 0) end))
print(pcall(table.sort, { 3, 1, 2 }, function() error("in comparison", 0) end))
local handled = 0
for i = 1, 100000 do if not pcall(error, i) then handled = handled + 1 end end
print(handled)
local depth = 0
local function recurse() depth = depth + 1; local _, e = pcall(recurse); if e then error(e, 0) end end
local _, final = pcall(recurse)
print(depth > 100, tostring(final):match("stack overflow") or tostring(final):match("error"))
