/* Duktape, a JavaScript engine, runs a script. */
#include <duktape.h>

#include "../bench.h"
#include "script.h"

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	duk_context *engine = need(duk_create_heap_default());
	int failed = duk_peval_string(engine, script);
	if (!failed) {
		duk_push_int(engine, rounds);
		failed = duk_pcall(engine, 1);
	}
	puts(duk_safe_to_string(engine, -1));
	duk_destroy_heap(engine);
	return failed;
}
