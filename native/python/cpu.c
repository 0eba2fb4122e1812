/* What this machine's CPU can do, as usable under this kernel. */
#include "python/face.h"

#include <cpuid.h>
#include <sys/auxv.h>

enum { EAX, EBX, ECX, EDX };

/* Register state the kernel must have enabled for a feature to be usable (bits of XCR0). */
#define YMM 0x6
#define ZMM 0xe6
#define TILES 0x60000

/* Named as in /proc/cpuinfo. */
static const struct feature {
    const char *name;
    uint32_t leaf;
    uint8_t subleaf, reg, bit;
    uint32_t state;
} features[] = {
    {"sse", 1, 0, EDX, 25, 0},
    {"sse2", 1, 0, EDX, 26, 0},
    {"pni", 1, 0, ECX, 0, 0},
    {"pclmulqdq", 1, 0, ECX, 1, 0},
    {"ssse3", 1, 0, ECX, 9, 0},
    {"fma", 1, 0, ECX, 12, YMM},
    {"cx16", 1, 0, ECX, 13, 0},
    {"sse4_1", 1, 0, ECX, 19, 0},
    {"sse4_2", 1, 0, ECX, 20, 0},
    {"movbe", 1, 0, ECX, 22, 0},
    {"popcnt", 1, 0, ECX, 23, 0},
    {"aes", 1, 0, ECX, 25, 0},
    {"avx", 1, 0, ECX, 28, YMM},
    {"f16c", 1, 0, ECX, 29, YMM},
    {"rdrand", 1, 0, ECX, 30, 0},
    {"bmi1", 7, 0, EBX, 3, 0},
    {"avx2", 7, 0, EBX, 5, YMM},
    {"bmi2", 7, 0, EBX, 8, 0},
    {"erms", 7, 0, EBX, 9, 0},
    {"avx512f", 7, 0, EBX, 16, ZMM},
    {"avx512dq", 7, 0, EBX, 17, ZMM},
    {"rdseed", 7, 0, EBX, 18, 0},
    {"adx", 7, 0, EBX, 19, 0},
    {"avx512ifma", 7, 0, EBX, 21, ZMM},
    {"clwb", 7, 0, EBX, 24, 0},
    {"avx512cd", 7, 0, EBX, 28, ZMM},
    {"sha_ni", 7, 0, EBX, 29, 0},
    {"avx512bw", 7, 0, EBX, 30, ZMM},
    {"avx512vl", 7, 0, EBX, 31, ZMM},
    {"avx512vbmi", 7, 0, ECX, 1, ZMM},
    {"avx512_vbmi2", 7, 0, ECX, 6, ZMM},
    {"gfni", 7, 0, ECX, 8, 0},
    {"vaes", 7, 0, ECX, 9, YMM},
    {"vpclmulqdq", 7, 0, ECX, 10, YMM},
    {"avx512_vnni", 7, 0, ECX, 11, ZMM},
    {"avx512_bitalg", 7, 0, ECX, 12, ZMM},
    {"tme", 7, 0, ECX, 13, 0},
    {"avx512_vpopcntdq", 7, 0, ECX, 14, ZMM},
    {"movdir64b", 7, 0, ECX, 28, 0},
    {"fsrm", 7, 0, EDX, 4, 0},
    {"pconfig", 7, 0, EDX, 18, 0},
    {"amx_tile", 7, 0, EDX, 24, TILES},
    {"avx_vnni", 7, 1, EAX, 4, YMM},
    {"lahf_lm", 0x80000001, 0, ECX, 0, 0},
    {"abm", 0x80000001, 0, ECX, 5, 0},
    {"sse4a", 0x80000001, 0, ECX, 6, 0},
    {"3dnowprefetch", 0x80000001, 0, ECX, 8, 0},
};

static uint64_t enabled_state(void) {
    unsigned int eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & (1U << 27))) { /* OSXSAVE */
        return 0;
    }
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static int set_flag(PyObject *result, const char *name, bool value) {
    return PyDict_SetItemString(result, name, value ? Py_True : Py_False);
}

static PyObject *cpu_features(PyObject *module, PyObject *unused) {
    (void)module, (void)unused;
    PyObject *result = PyDict_New();
    uint64_t state = enabled_state();
    if (result == NULL || set_flag(result, "fsgsbase", (getauxval(AT_HWCAP2) & 2) != 0) < 0) {
        Py_XDECREF(result);
        return NULL;
    }
    for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
        const struct feature *feature = &features[i];
        unsigned int registers[4] = {0, 0, 0, 0};
        bool present = __get_cpuid_count(feature->leaf, feature->subleaf, &registers[EAX], &registers[EBX],
                                         &registers[ECX], &registers[EDX]) &&
                       (registers[feature->reg] >> feature->bit & 1) != 0 &&
                       (state & feature->state) == feature->state;
        if (set_flag(result, feature->name, present) < 0) {
            Py_DECREF(result);
            return NULL;
        }
    }
    return result;
}

PyMethodDef tmebox_cpu_methods[] = {
    {"cpu_features", cpu_features, METH_NOARGS, "cpu_features() -> dict[str, bool]\n\n/proc/cpuinfo names."},
    {NULL, NULL, 0, NULL},
};
