// Lets ThreadSanitizer see Synchronization.Mutex. Its uncontended path is inlined into our instrumented code; the
// contended one is a futex call inside of the uninstrumented standard library, so a lock that was handed over there
// looks like no lock at all. These definitions come before the library's, call them, and tell the sanitizer.
// Only the package of `Tests/run --sanitize=thread` has this target.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sanitized_locks.h"

#if __has_feature(thread_sanitizer)
extern void __tsan_acquire(void *address);
extern void __tsan_release(void *address);

#define SWIFT_METHOD __attribute__((swiftcall))
#define SELF __attribute__((swift_context)) void *handle
#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define TRY_LOCK_SLOW "$s15Synchronization12_MutexHandleV12_tryLockSlowSbyF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"

SWIFT_METHOD void crest_lock_slow(uint32_t thread, SELF) __asm__(LOCK_SLOW);
SWIFT_METHOD bool crest_try_lock_slow(SELF) __asm__(TRY_LOCK_SLOW);
SWIFT_METHOD void crest_unlock_slow(SELF) __asm__(UNLOCK_SLOW);

typedef SWIFT_METHOD void (*lock_slow_t)(uint32_t, SELF);
typedef SWIFT_METHOD bool (*try_lock_slow_t)(SELF);
typedef SWIFT_METHOD void (*unlock_slow_t)(SELF);

SWIFT_METHOD void crest_lock_slow(uint32_t thread, SELF) {
    ((lock_slow_t)dlsym(RTLD_NEXT, LOCK_SLOW))(thread, handle);
    __tsan_acquire(handle);
}

SWIFT_METHOD bool crest_try_lock_slow(SELF) {
    bool locked = ((try_lock_slow_t)dlsym(RTLD_NEXT, TRY_LOCK_SLOW))(handle);
    if (locked) __tsan_acquire(handle);
    return locked;
}

SWIFT_METHOD void crest_unlock_slow(SELF) {
    __tsan_release(handle);
    ((unlock_slow_t)dlsym(RTLD_NEXT, UNLOCK_SLOW))(handle);
}
#endif
