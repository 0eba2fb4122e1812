/* Thread-local variables are ordinary data: a thread that is used again, were there one, keeps them. */
#include "pthread_impl.h"

void __reset_tls(void)
{
}
