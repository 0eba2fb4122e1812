/* QuickJS, a JavaScript engine, runs a script. */
#include <quickjs.h>

#include "../bench.h"
#include "script.h"

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	JSRuntime *runtime = need(JS_NewRuntime());
	JSContext *context = need(JS_NewContext(runtime));
	JSValue function = JS_Eval(context, script, sizeof script - 1, "script", JS_EVAL_TYPE_GLOBAL);
	JSValue argument = JS_NewInt32(context, rounds);
	JSValue result = JS_Call(context, function, JS_UNDEFINED, 1, &argument);
	int failed = JS_IsException(result);
	const char *text = JS_ToCString(context, failed ? JS_GetException(context) : result);
	puts(text);
	JS_FreeCString(context, text);
	if (failed) return failed;
	JS_FreeValue(context, result);
	JS_FreeValue(context, function);
	JS_FreeContext(context);
	JS_FreeRuntime(runtime);
	return 0;
}
