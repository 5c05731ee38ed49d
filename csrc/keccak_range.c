/* The search of one fixed range: the answer depends on the range alone, not on threads, kernel or time. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "keccak_jobs.h"

/* What a worker takes at a time: two of the kernels' largest blocks, so that 50 workers end almost together. */
#define SHARE ((uint64_t)2 * KECCAK_GROUP << KECCAK_STEP_BITS_MAX)
#define STACK_BYTES (256u * 1024u)

struct range {
    const struct keccak_kernel *kernel;
    uint64_t message[KECCAK_LANES];
    uint64_t first, last;
    atomic_uint_fast64_t next_share; /* counted on boundaries of SHARE, from the one at or before `first` */
    pthread_mutex_t lock;
    struct keccak_best best;
    uint64_t refuted;
};

/* A worker's shares come in ascending order, so it holds the lowest of its own best; the lowest of those wins. */
static void *search_shares(void *argument)
{
    struct range *range = argument;
    struct keccak_search search;
    const uint64_t base = range->first / SHARE, shares = range->last / SHARE - base + 1;

    keccak_search_begin(&search, range->kernel, range->message);
    for (;;) {
        const uint64_t share = atomic_fetch_add(&range->next_share, 1);
        if (share >= shares)
            break;
        const uint64_t begin = (base + share) * SHARE, end = begin + (SHARE - 1);
        keccak_search_range(&search, begin > range->first ? begin : range->first,
                            end < range->last ? end : range->last);
    }
    pthread_mutex_lock(&range->lock);
    range->refuted += search.refuted;
    if (search.best.zeros > range->best.zeros ||
        (search.best.zeros == range->best.zeros && search.best.nonce < range->best.nonce))
        range->best = search.best;
    pthread_mutex_unlock(&range->lock);
    return NULL;
}

/* Run `threads` workers, this thread one of them. Where the system refuses more, fewer do all of the work. */
static void search_with(struct range *range, uint32_t threads, pthread_t *others)
{
    pthread_attr_t attributes;
    uint32_t started = 0;
    if (threads > 1 && pthread_attr_init(&attributes) == 0) {
        if (pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0)
            while (started < threads - 1 && pthread_create(&others[started], &attributes, search_shares, range) == 0)
                started++;
        pthread_attr_destroy(&attributes);
    }
    search_shares(range);
    while (started)
        pthread_join(others[--started], NULL);
}

int keccak_search_nonces(const char *kernel, uint32_t threads, const keccak_job_spec *spec, uint64_t count,
                         keccak_job_state *best)
{
    struct range range;
    if (threads < 1 || threads > KECCAK_THREADS_MAX || count == 0)
        return KECCAK_BAD_ARGUMENT;
    if (count - 1 > UINT64_MAX - spec->cursor)
        return KECCAK_BAD_RANGE;
    if (!keccak_miner_kernel_runs(kernel))
        return KECCAK_NO_KERNEL;

    memset(&range, 0, sizeof range);
    range.kernel = kernel ? keccak_kernel_named(kernel) : keccak_fastest_kernel(keccak_cpu_features());
    range.first = spec->cursor;
    range.last = spec->cursor + (count - 1);
    range.best.zeros = -1;
    keccak_message(range.message, spec->index, spec->entropy, spec->farmer);
    pthread_t *others = calloc(threads, sizeof *others);
    if (!others || pthread_mutex_init(&range.lock, NULL) != 0) {
        free(others);
        return KECCAK_NO_MEMORY;
    }
    search_with(&range, threads, others);
    pthread_mutex_destroy(&range.lock);
    free(others);
    if (range.refuted)
        return KECCAK_BAD_KERNEL;

    memset(best, 0, sizeof *best);
    best->index = spec->index;
    best->hashes = count;
    best->zeros = range.best.zeros;
    best->nonce = range.best.nonce;
    memcpy(best->hash, range.best.hash, sizeof best->hash);
    return KECCAK_OK;
}
