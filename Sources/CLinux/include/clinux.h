// What Glibc's module does not show to Swift: recvmmsg, socket ancillary data, the allocator's settings, CRC32C
// instructions, prefetching.
#ifndef CREST_CLINUX_H
#define CREST_CLINUX_H

#include <stddef.h>
#include <stdint.h>

/// One received datagram: where its bytes start in the batch buffer and what the kernel said of it.
struct clinux_datagram {
    uint32_t offset;
    uint32_t length;
    /// Non-zero when the datagram was longer than its slot (MSG_TRUNC).
    uint32_t truncated;
    /// Not zero: the bytes are several datagrams of this many bytes, the last one maybe shorter (UDP_GRO).
    uint32_t segment;
};

struct clinux_batch;

/// A reusable receive batch of `slots` datagrams of at most `slot_bytes` each. NULL when memory is short.
struct clinux_batch *clinux_batch_create(uint32_t slots, uint32_t slot_bytes);
void clinux_batch_destroy(struct clinux_batch *batch);
/// The bytes of all slots; slot i starts at i * slot_bytes.
const uint8_t *clinux_batch_bytes(const struct clinux_batch *batch);

/// Receives up to the batch's slots in one recvmmsg call (MSG_WAITFORONE).
/// Returns the number received, or -errno. `kernel_drops` gets the socket's running drop count (SO_RXQ_OVFL)
/// when the kernel sent one, and is left alone otherwise.
int clinux_receive(int fd, struct clinux_batch *batch, struct clinux_datagram *out, uint32_t *kernel_drops);

/// Asks for `bytes` of receive buffer (SO_RCVBUFFORCE, then SO_RCVBUF). Returns what the kernel granted, or -errno.
int clinux_set_receive_buffer(int fd, int bytes);
/// Turns on SO_RXQ_OVFL. Returns 0 or -errno.
int clinux_enable_drop_counter(int fd);
/// The socket's drop count from SO_MEMINFO, or -errno.
int64_t clinux_socket_drops(int fd);

/// Lets the kernel hand over several datagrams of one sender as one (UDP_GRO). Returns 0 or -errno.
int clinux_enable_gro(int fd);
/// Makes a UDP socket cut each send into datagrams of `bytes` (UDP_SEGMENT). Returns 0 or -errno.
int clinux_set_segment(int fd, int bytes);

/// A datagram socket of the Unix domain, non-blocking and closed on exec; or -errno.
int clinux_unix_socket(void);
/// Binds to a path, or to an abstract name where `path` begins with `@`. Returns 0 or -errno.
int clinux_unix_bind(int fd, const char *path);
/// Connects to what ``clinux_unix_bind`` bound. Returns 0 or -errno; -ECONNREFUSED when nobody holds the path.
int clinux_unix_connect(int fd, const char *path);

/// Sends datagrams on a connected socket: datagram i has the bytes from ends[i - 1] (0 for the first) to ends[i].
/// One sendmmsg call, at most 64 datagrams. Returns the number sent, or -errno.
int clinux_send_many(int fd, const uint8_t *bytes, const uint32_t *ends, uint32_t count);

/// Binds a thread or process (0: the calling thread) to one core; a negative core gives it all. 0 or -errno.
int clinux_pin(int pid, int core);

/// The port that a bound IPv4 or IPv6 socket has, or -errno.
int clinux_bound_port(int fd);

/// An eventfd, non-blocking and closed on exec; or -errno.
int clinux_event_create(void);
/// Makes the eventfd readable. Returns 0 or -errno.
int clinux_event_signal(int fd);

/// Makes the allocator give back what is freed: at most so many arenas, blocks of `block_bytes` and more mapped one by one,
/// and free memory at an arena's end kept up to `trim_bytes`. Before any thread is made.
void clinux_return_memory(int arenas, int block_bytes, int trim_bytes);

/// Names the calling thread; at most 15 bytes are kept.
void clinux_name_thread(const char *name);

/// Reserves room for `bytes` bytes from `offset` on without changing the file's size. Returns 0 or -errno.
int clinux_preallocate(int fd, int64_t offset, int64_t bytes);

/// CRC32C (Castagnoli) of `length` bytes, continuing from `crc` (0 to start). Hardware instructions where present.
uint32_t clinux_crc32c(uint32_t crc, const void *bytes, size_t length);

/// Asks for the cache line of an address that will be read soon; the address may be anything.
static inline void clinux_prefetch(uintptr_t address) { __builtin_prefetch((const void *)address); }

/// 16-bit mask of the bytes equal to `needle` among the 16 at `p` (bit i = byte i).
static inline uint32_t clinux_match16(const uint8_t *p, uint8_t needle);
/// 16-bit mask of the bytes with the high bit set among the 16 at `p`.
static inline uint32_t clinux_high_bits16(const uint8_t *p);

#if defined(__SSE2__)
#include <emmintrin.h>
static inline uint32_t clinux_match16(const uint8_t *p, uint8_t needle) {
    __m128i v = _mm_loadu_si128((const __m128i *)p);
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8((char)needle)));
}
static inline uint32_t clinux_high_bits16(const uint8_t *p) {
    return (uint32_t)_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)p));
}
#else
static inline uint32_t clinux_match16(const uint8_t *p, uint8_t needle) {
    uint32_t mask = 0;
    for (int i = 0; i < 16; i++) mask |= (uint32_t)(p[i] == needle) << i;
    return mask;
}
static inline uint32_t clinux_high_bits16(const uint8_t *p) {
    uint32_t mask = 0;
    for (int i = 0; i < 16; i++) mask |= (uint32_t)(p[i] >> 7) << i;
    return mask;
}
#endif

#endif
