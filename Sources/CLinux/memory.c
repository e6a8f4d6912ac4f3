#define _GNU_SOURCE
#include "clinux.h"

#include <malloc.h>

void clinux_return_memory(int arenas, int block_bytes, int trim_bytes) {
    mallopt(M_ARENA_MAX, arenas);
    // Both also end the allocator's own habit of raising them with what it has seen.
    mallopt(M_MMAP_THRESHOLD, block_bytes);
    mallopt(M_TRIM_THRESHOLD, trim_bytes);
}
