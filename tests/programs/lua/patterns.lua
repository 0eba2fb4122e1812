-- String patterns and the string library; utf8; pack and unpack.
local text = [[The quick brown fox jumps over 13 lazy dogs; "quoted (nested (deep)) text" = 0x1F, e-mail: someone@example.org.]]
print(text:find("brown"), text:find("%d+"), text:find("(%a+) (%d+)"), text:find(".", 1, true), text:find("nothing"))
print(text:match("(%w+)@(%w+)%.(%a+)"), text:match("%b()"), text:match("^(%u%l*)"), text:match("0x(%x+)"), text:match("()fox()"))
for word in text:gmatch("%a+") do io.write(word, "|") end print()
for k, v in ("a=1, b=2, c = 3"):gmatch("(%w+)%s*=%s*(%w+)") do io.write(k, ":", v, " ") end print()
print(text:gsub("o", "0"), (text:gsub("%w+", "<%0>", 4)), (text:gsub("(%w+) (%w+)", "%2 %1")))
print((text:gsub("%a+", { The = "A", fox = "cat" })), (text:gsub("%l", function(c) if c < "f" then return c:upper() end end)))
print(("  trim me  "):match("^%s*(.-)%s*$") .. "|", ("%f"):len(), ("THE (quick) fox"):find("%f[%a]%a+%f[%A]"), ("x"):rep(5, "-"))
print(("[[]]"):gsub("[%[%]]", "."), ("a,b,,c"):gsub(",", ";"), ("abc"):gsub("", "-"), ("hello"):gsub("l+", "%%"))
print(("abc"):byte(1, -1), ("\u{48}\u{20AC}\u{10FFFF}"):byte(1, -1))
print(("Hello"):upper(), ("Hello"):lower(), ("Hello"):reverse(), ("Hello"):sub(-3), ("Hello"):sub(2, -2), ("Hello"):sub(10), #("\0a\0"))
for _, pattern in ipairs { "[a-", "%", "(", ")", "%b", "%f", "[%a-z]", "%1", "(()", "[^%s]+$", ".-$", "^$" } do
  print(pattern, pcall(string.find, "some text-", pattern))
end
print(pcall(string.rep("(", 40).find, "x", string.rep("(", 40)))
print(pcall(string.match, string.rep("a", 300000), string.rep("a?", 300000) .. "b"))
print(#string.rep("a", 100000):match(".-b?$"), string.rep("ab", 5000):find("(a.-)b$", -3))
for position, code in utf8.codes("aé漢🎉") do io.write(position, ":", code, " ") end
print(utf8.len("aé漢🎉"), utf8.len("\xff"), utf8.char(72, 228, 8364, 128512), utf8.offset("aé漢🎉", 3), utf8.codepoint("aé漢🎉", 1, -1))
local packed = string.pack("<i1 i2 i4 i8 d f n s1 s2 z !8 B", -1, -2, -3, -4, 1.5, 0.25, 1/3, "one", "two", "zero", 255)
print(#packed, (packed:gsub(".", function(c) return ("%02x"):format(c:byte()) end)))
print(string.unpack("<i1 i2 i4 i8 d f n s1 s2 z !8 B", packed))
print(string.pack(">I3", 0x010203):byte(1, -1), string.packsize("i4 i8 !8 d"), pcall(string.unpack, "i4", "abc"))
local words = {}
for w in (text:rep(200)):gmatch("%w+") do words[w] = (words[w] or 0) + 1 end
local names = {}
for w in pairs(words) do names[#names + 1] = w end
table.sort(names)
for _, w in ipairs(names) do io.write(w, "=", words[w], " ") end print()
