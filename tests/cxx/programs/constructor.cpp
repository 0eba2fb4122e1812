#include <stdexcept>
struct Thing { Thing() { throw std::runtime_error("not today"); } };
static Thing thing;
extern "C" int f() { return 1; }
