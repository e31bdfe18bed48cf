// For tests that fork while other threads run, as those of a daemon's rig do.
// What glibc locks is put right in the child; what ASan and TSan lock may stay
// locked for ever. COUNTERSIGN_FORK_MAY_HANG is defined where that is so.
#ifndef COUNTERSIGN_TESTS_FORK_MAY_HANG_H_
#define COUNTERSIGN_TESTS_FORK_MAY_HANG_H_

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COUNTERSIGN_FORK_MAY_HANG
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTERSIGN_FORK_MAY_HANG
#endif

#endif  // COUNTERSIGN_TESTS_FORK_MAY_HANG_H_
