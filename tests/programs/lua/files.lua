-- Input and output in the current directory: write, read in all formats, seek, append, lines, buffering, rename, errors.
local name, other = "out.txt", "renamed.txt"
local file <close> = assert(io.open(name, "w"))
print(io.type(file), io.type(io.stdout), io.type(42))
file:setvbuf("full", 1024)
for i = 1, 1000 do file:write(i, " ", i / 7, "\n") end
print(file:seek("cur"), file:seek("set", 10), file:write("XYZ") == file, file:seek("end"))
file:close()
print(io.type(file), pcall(file.write, file, "x"))

local count, sum = 0, 0
for line in io.lines(name) do count = count + 1; sum = sum + #line end
print(count, sum)
for a, b in io.lines(name, "n", "l") do if a and a > 996 then print(a, b) end end
local reading = assert(io.open(name, "rb"))
print(reading:read("n", "n", "l", 5, "L", 0))
print(#reading:read("a"), reading:read("a"), reading:read("l"), reading:read(0), reading:read("n"))
print(reading:seek("set", 3), reading:read(4), reading:seek("cur", -2), reading:read(2), reading:seek("end", -5), reading:read("a"))
print((reading:write("no"))) -- which errno that sets differs between C libraries
reading:close()

local both = assert(io.open(name, "r+"))
both:seek("set", 0); both:write("first"); both:seek("set", 0); print(both:read("l")); both:close()
local append = assert(io.open(name, "a+"))
append:write("appended\n"); append:seek("set", 0); local all = append:read("a"); print(#all, all:sub(-9)); append:close()

print(os.rename(name, other), io.open(name), os.remove(other), os.remove(other), os.rename(name, other))
print(pcall(io.lines, "absent.txt"))
print(io.open("no/such/directory/file", "w"), pcall(io.open, name, "nonsense"))
local blob = {}
for i = 0, 255 do blob[#blob + 1] = string.char(i) end
blob = table.concat(blob):rep(1000)
local binary = assert(io.open("binary.dat", "wb")); binary:write(blob); binary:close()
binary = assert(io.open("binary.dat", "rb")); print(binary:read("a") == blob); binary:close()
print(io.read("l"), io.read("n"), io.read("l"), io.read("a"))
io.stderr:write("to stderr\n")
local previous = io.output(); io.output("switched.txt"); io.write("into the file"); io.close(); io.output(previous)
io.input("switched.txt"); print(io.read("a")); io.close(io.input())
print(os.getenv("TMEBOX_GREETING"), os.getenv("TMEBOX_ABSENT"), os.time { year = 2020, month = 2, day = 30, hour = 12 } - os.time { year = 2020, month = 1, day = 1, hour = 12 })
print(os.date("!%Y-%m-%d %H:%M:%S", 86400 * 365), os.date("!%A %B %j", 1e9 // 1 | 0), type(os.clock()), os.clock() >= 0)
os.exit(17, true)
