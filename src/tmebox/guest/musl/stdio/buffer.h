/* The size of buffers: a page, as other C libraries have it. musl's has 1,024 bytes, and four times as many calls. */
#pragma once

enum { BUFFER_BYTES = 4096 };
