#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#define SEND_BATCH 64

int clinux_enable_gro(int fd) {
    int on = 1;
    return setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on) == 0 ? 0 : -errno;
}

int clinux_set_segment(int fd, int bytes) {
    return setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &bytes, sizeof bytes) == 0 ? 0 : -errno;
}

int clinux_unix_socket(void) {
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd >= 0 ? fd : -errno;
}

// The length of the address, or 0 when the path does not fit.
static socklen_t unix_address(const char *path, struct sockaddr_un *address) {
    size_t length = strlen(path);
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (length == 0 || length >= sizeof address->sun_path) return 0;
    memcpy(address->sun_path, path, length);
    // An abstract name begins with a zero byte and ends with the address, not with a zero.
    if (path[0] == '@') address->sun_path[0] = 0;
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (path[0] == '@' ? 0 : 1));
}

int clinux_unix_bind(int fd, const char *path) {
    struct sockaddr_un address;
    socklen_t length = unix_address(path, &address);
    if (length == 0) return -ENAMETOOLONG;
    return bind(fd, (const struct sockaddr *)&address, length) == 0 ? 0 : -errno;
}

int clinux_unix_connect(int fd, const char *path) {
    struct sockaddr_un address;
    socklen_t length = unix_address(path, &address);
    if (length == 0) return -ENAMETOOLONG;
    return connect(fd, (const struct sockaddr *)&address, length) == 0 ? 0 : -errno;
}

int clinux_send_many(int fd, const uint8_t *bytes, const uint32_t *ends, uint32_t count) {
    struct mmsghdr headers[SEND_BATCH];
    struct iovec vectors[SEND_BATCH];
    if (count > SEND_BATCH) count = SEND_BATCH;
    memset(headers, 0, sizeof headers);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t start = i == 0 ? 0 : ends[i - 1];
        vectors[i].iov_base = (void *)(bytes + start);
        vectors[i].iov_len = ends[i] - start;
        headers[i].msg_hdr.msg_iov = &vectors[i];
        headers[i].msg_hdr.msg_iovlen = 1;
    }
    int sent = sendmmsg(fd, headers, count, MSG_NOSIGNAL);
    return sent >= 0 ? sent : -errno;
}

int clinux_pin(int pid, int core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    long cores = sysconf(_SC_NPROCESSORS_CONF);
    for (int i = 0; i < cores && i < CPU_SETSIZE; i++) {
        if (core < 0 || i == core) CPU_SET(i, &set);
    }
    return sched_setaffinity(pid, sizeof set, &set) == 0 ? 0 : -errno;
}
