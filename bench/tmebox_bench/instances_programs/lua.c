/* An interpreter that takes a while to get ready: Lua with its libraries. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

static lua_State *lua;

/* Not zero if it fails. */
int prepare(void)
{
	lua = luaL_newstate();
	if (!lua) return 1;
	luaL_openlibs(lua);
	return 0;
}

int answer(int number)
{
	if (luaL_loadstring(lua, "return #string.rep('x', ...)")) return -1;
	lua_pushinteger(lua, number);
	if (lua_pcall(lua, 1, 1, 0)) return -1;
	int result = (int)lua_tointeger(lua, -1);
	lua_settop(lua, 0);
	return result;
}

#ifdef PROGRAM
int main(void)
{
	return prepare() || answer(42) != 42;
}
#endif
