/* jpeglib.h needs what it does not include. */
#include <stdio.h>
#include "jpeglib.h"
