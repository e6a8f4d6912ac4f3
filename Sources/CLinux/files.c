#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>
#include <fcntl.h>

int clinux_preallocate(int fd, int64_t offset, int64_t bytes) {
    return fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, bytes) == 0 ? 0 : -errno;
}
