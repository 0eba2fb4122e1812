/* What __builtin_cpu_supports asks. A sandbox cannot ask the CPU, so it has what every x86-64 CPU has, and code that
   asks takes the way that runs everywhere. */

enum { CMOV = 0, SSE = 3, SSE2 = 4, BASELINE = 95, FEATURES_IN_A_WORD = 32 };

struct {
	unsigned vendor, type, subtype, features[1];
} __cpu_model = { 0, 0, 0, { 1u << CMOV | 1u << SSE | 1u << SSE2 } };

/* Numbers from 32 on. */
unsigned __cpu_features2[4] = { [BASELINE / FEATURES_IN_A_WORD - 1] = 1u << BASELINE % FEATURES_IN_A_WORD };

int __cpu_indicator_init(void)
{
	return 0;
}
