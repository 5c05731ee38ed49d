/* The clock the core runs at now. A time-stamp counter does not tell: it ticks at a rate of its own. */
#define _GNU_SOURCE
#include <time.h>

#include "keccak_miner.h"

/* An addition that waits for the one before: one cycle on every CPU this is built for. To a register and not of a
 * constant: Intel's cores since Golden Cove add small constants while renaming, several in a cycle. */
static inline uint64_t add_once(uint64_t value)
{
#if defined(__x86_64__)
    __asm__ volatile("add %0, %0" : "+r"(value));
#elif defined(__aarch64__)
    __asm__ volatile("add %0, %0, %0" : "+r"(value));
#else
    value += value;
    __asm__ volatile("" : "+r"(value));
#endif
    return value;
}

uint64_t keccak_clock_chain(uint64_t adds)
{
    struct timespec begin, end;
    uint64_t value = 1;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (uint64_t i = 0; i < adds / 16; i++) {
        value = add_once(add_once(add_once(add_once(value))));
        value = add_once(add_once(add_once(add_once(value))));
        value = add_once(add_once(add_once(add_once(value))));
        value = add_once(add_once(add_once(add_once(value))));
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    return (uint64_t)(end.tv_sec - begin.tv_sec) * 1000000000u + (uint64_t)end.tv_nsec - (uint64_t)begin.tv_nsec;
}
