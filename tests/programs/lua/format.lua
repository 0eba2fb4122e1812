-- string.format over many values and conversions, tostring of numbers, reading them back.
local numbers = {
  0, -0.0, 1, -1, 0.1, -0.1, 1/3, 2/3, 1e15, 1e16, 1e17, 123456789012345678, 1e100, -1e100, 1e-5, 1e-100, 1e308,
  5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, math.pi, -math.pi, 0.5, 1.5, 2.5, 3.5, 1e22, 1e23,
  9007199254740993, 4503599627370496.5, 0.30000000000000004, 1/0, -1/0, 65536.0, 99999.99999, 999999.5, 0.00001234,
}
local conversions = { "%g", "%.3g", "%.17g", "%f", "%.0f", "%.1f", "%10.3f", "%-12.4f|", "%+.2e", "%e", "%.15e", "%#.0f", "%08.3f", "% g", "%a", "%.3a", "%G", "%E" }
for _, conversion in ipairs(conversions) do
  local row = {}
  for i, number in ipairs(numbers) do
    -- hexadecimal floats of subnormals are spelled as the C library likes
    local spelled_freely = conversion:find("a") and number ~= 0 and math.abs(number) < 2.3e-308
    row[i] = spelled_freely and "-" or string.format(conversion, number)
  end
  print(conversion, table.concat(row, " "))
end
print(string.format("%s %s", 0/0 ~= 0/0, tostring(0/0):gsub("-", "")))

local integers = { 0, 1, -1, 42, -42, 2^31 | 0, 2^32 | 0, math.maxinteger, math.mininteger }
for _, conversion in ipairs { "%d", "%5d", "%-5d|", "%05d", "%+d", "% d", "%x", "%X", "%#x", "%o", "%i", "%20d", "%.10d", "%3.2d" } do
  local row = {}
  for i, integer in ipairs(integers) do row[i] = string.format(conversion, integer) end
  print(conversion, table.concat(row, " "))
end
print(string.format("%c%c%c %5s %-5s| %.2s %q %%", 76, 117, 97, "ab", "cd", "xyz", 'a "quoted"\n\0\r\t line'))
print(string.format("%q %q %q %q", 1/3, math.mininteger, 255, 0x1p-3))
print(string.format("%s %10s %-10s|%s", nil, true, "left", 12.0))
for i = 1, 400 do
  local x = 1.0 -- multiplied, not `^`: the last bit of pow() differs between C libraries
  for _ = 1, i % 23 do x = x * (i * 7919.123456789) end
  if i % 2 == 0 then x = 1 / x end
  io.write(string.format("%.14g %.17g %s %d\n", x, x, tonumber(string.format("%.17g", x)) == x, math.floor(x % 1e9)))
end
for _, text in ipairs { "0x10", "0x1p4", "1e1", "  12  ", "12a", "", "0x", "1e", ".5", "5.", "0x.8", "1e400", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "inf", "nan" } do
  io.write(string.format("%q=%s ", text, tostring(tonumber(text))))
end
print()
for base = 2, 36, 7 do io.write(tostring(tonumber("10110", base)), " ", tostring(tonumber("zz", base)), " ") end
print()
print(("%5.1f|%5s|"):rep(3, ";"):format(1.25, "x", 2.35, "y", 3.45, "z"))
