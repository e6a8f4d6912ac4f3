#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#define MEMINFO_DROPS 8
#define MEMINFO_VARS 9

struct clinux_batch {
    uint32_t slots;
    uint32_t slot_bytes;
    uint8_t *bytes;
    struct mmsghdr *headers;
    struct iovec *vectors;
    uint8_t *control;
};

#define CONTROL_BYTES 64

struct clinux_batch *clinux_batch_create(uint32_t slots, uint32_t slot_bytes) {
    struct clinux_batch *batch = calloc(1, sizeof *batch);
    if (!batch) return NULL;
    batch->slots = slots;
    batch->slot_bytes = slot_bytes;
    batch->bytes = malloc((size_t)slots * slot_bytes);
    batch->headers = calloc(slots, sizeof *batch->headers);
    batch->vectors = calloc(slots, sizeof *batch->vectors);
    batch->control = calloc(slots, CONTROL_BYTES);
    if (!batch->bytes || !batch->headers || !batch->vectors || !batch->control) {
        clinux_batch_destroy(batch);
        return NULL;
    }
    for (uint32_t i = 0; i < slots; i++) {
        batch->vectors[i].iov_base = batch->bytes + (size_t)i * slot_bytes;
        batch->vectors[i].iov_len = slot_bytes;
        batch->headers[i].msg_hdr.msg_iov = &batch->vectors[i];
        batch->headers[i].msg_hdr.msg_iovlen = 1;
    }
    return batch;
}

void clinux_batch_destroy(struct clinux_batch *batch) {
    if (!batch) return;
    free(batch->bytes);
    free(batch->headers);
    free(batch->vectors);
    free(batch->control);
    free(batch);
}

const uint8_t *clinux_batch_bytes(const struct clinux_batch *batch) { return batch->bytes; }

int clinux_receive(int fd, struct clinux_batch *batch, struct clinux_datagram *out, uint32_t *kernel_drops) {
    for (uint32_t i = 0; i < batch->slots; i++) {
        batch->headers[i].msg_hdr.msg_control = batch->control + (size_t)i * CONTROL_BYTES;
        batch->headers[i].msg_hdr.msg_controllen = CONTROL_BYTES;
        batch->headers[i].msg_hdr.msg_flags = 0;
    }
    int count = recvmmsg(fd, batch->headers, batch->slots, MSG_WAITFORONE, NULL);
    if (count < 0) return -errno;
    for (int i = 0; i < count; i++) {
        struct msghdr *header = &batch->headers[i].msg_hdr;
        out[i].offset = (uint32_t)i * batch->slot_bytes;
        out[i].length = batch->headers[i].msg_len;
        out[i].truncated = (header->msg_flags & MSG_TRUNC) != 0;
        out[i].segment = 0;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
            if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_RXQ_OVFL) {
                memcpy(kernel_drops, CMSG_DATA(c), sizeof *kernel_drops);
            } else if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO) {
                int segment = 0;
                memcpy(&segment, CMSG_DATA(c), sizeof segment);
                if (segment > 0 && (uint32_t)segment < out[i].length) out[i].segment = (uint32_t)segment;
            }
        }
    }
    return count;
}

int clinux_set_receive_buffer(int fd, int bytes) {
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0
        && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes) != 0) {
        return -errno;
    }
    int granted = 0;
    socklen_t length = sizeof granted;
    if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &granted, &length) != 0) return -errno;
    return granted;
}

int clinux_enable_drop_counter(int fd) {
    int on = 1;
    return setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on) == 0 ? 0 : -errno;
}

int64_t clinux_socket_drops(int fd) {
    uint32_t info[MEMINFO_VARS + 8] = {0};
    socklen_t length = sizeof info;
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &length) != 0) return -errno;
    if (length < (MEMINFO_DROPS + 1) * sizeof(uint32_t)) return -ENODATA;
    return info[MEMINFO_DROPS];
}

// CRC32C: reflected polynomial 0x82F63B78, slicing by 8 where the CPU has no instruction for it.
static uint32_t table[8][256];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static void table_fill(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (0x82F63B78u & (0u - (crc & 1)));
        table[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++) {
        for (int k = 1; k < 8; k++) table[k][i] = (table[k - 1][i] >> 8) ^ table[0][table[k - 1][i] & 0xff];
    }
}

static uint32_t crc_table(uint32_t crc, const uint8_t *p, size_t length) {
    pthread_once(&table_once, table_fill);
    while (length >= 8) {
        uint32_t low, high;
        memcpy(&low, p, 4);
        memcpy(&high, p + 4, 4);
        low ^= crc;
        crc = table[7][low & 0xff] ^ table[6][(low >> 8) & 0xff] ^ table[5][(low >> 16) & 0xff]
            ^ table[4][low >> 24] ^ table[3][high & 0xff] ^ table[2][(high >> 8) & 0xff]
            ^ table[1][(high >> 16) & 0xff] ^ table[0][high >> 24];
        p += 8;
        length -= 8;
    }
    while (length--) crc = (crc >> 8) ^ table[0][(crc ^ *p++) & 0xff];
    return crc;
}

#if defined(__x86_64__)
// One instruction takes three cycles and a new one can start every cycle: three lanes of this many bytes at a time.
enum { lane_bytes = 1024 };
// What `lane_bytes` zeros behind it make of each byte of a state.
static uint32_t lane_shift[4][256];
static pthread_once_t lane_once = PTHREAD_ONCE_INIT;

__attribute__((target("sse4.2"))) static uint32_t crc_lane(uint32_t crc, const uint8_t *p, size_t length) {
    uint64_t wide = crc;
    while (length >= 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        wide = __builtin_ia32_crc32di(wide, word);
        p += 8;
        length -= 8;
    }
    crc = (uint32_t)wide;
    while (length--) crc = __builtin_ia32_crc32qi(crc, *p++);
    return crc;
}

static void lane_fill(void) {
    static const uint8_t zeros[lane_bytes];
    uint32_t bits[32];
    for (int bit = 0; bit < 32; bit++) bits[bit] = crc_lane(1u << bit, zeros, lane_bytes);
    for (int place = 0; place < 4; place++) {
        for (int value = 0; value < 256; value++) {
            uint32_t state = 0;
            for (int bit = 0; bit < 8; bit++) {
                if (value >> bit & 1) state ^= bits[8 * place + bit];
            }
            lane_shift[place][value] = state;
        }
    }
}

static inline uint32_t lane_shifted(uint32_t state) {
    return lane_shift[0][state & 0xff] ^ lane_shift[1][state >> 8 & 0xff] ^ lane_shift[2][state >> 16 & 0xff]
        ^ lane_shift[3][state >> 24];
}

__attribute__((target("sse4.2"))) static uint32_t crc_hardware(uint32_t crc, const uint8_t *p, size_t length) {
    if (length >= 3 * lane_bytes) pthread_once(&lane_once, lane_fill);
    while (length >= 3 * lane_bytes) {
        uint64_t first = crc, second = 0, third = 0;
        for (size_t i = 0; i < lane_bytes; i += 8) {
            uint64_t a, b, c;
            memcpy(&a, p + i, 8);
            memcpy(&b, p + lane_bytes + i, 8);
            memcpy(&c, p + 2 * lane_bytes + i, 8);
            first = __builtin_ia32_crc32di(first, a);
            second = __builtin_ia32_crc32di(second, b);
            third = __builtin_ia32_crc32di(third, c);
        }
        crc = lane_shifted(lane_shifted((uint32_t)first) ^ (uint32_t)second) ^ (uint32_t)third;
        p += 3 * lane_bytes;
        length -= 3 * lane_bytes;
    }
    return crc_lane(crc, p, length);
}
#endif

uint32_t clinux_crc32c(uint32_t crc, const void *bytes, size_t length) {
    crc = ~crc;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) return ~crc_hardware(crc, bytes, length);
#endif
    return ~crc_table(crc, bytes, length);
}
