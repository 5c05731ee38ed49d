/* The public API: nonce search for the proofs of work of a KALE farm.
 *
 * A job is one farmer in one block. A miner owns worker threads and a set of jobs; its workers always take the job
 * where the next hash is worth most. A hash improves a job that has b zeros with a chance of 16^-(b+1), so its worth
 * is weight * (16^-b - 16^-cap) / 15: with equal weights the lowest best comes first, and none is taken at its cap.
 * Jobs of equal worth take turns. A worker takes a chunk of nonces worth about 2 ms, hashes all of it, and reports:
 * so every nonce below a job's cursor has been hashed exactly once when the miner stands still.
 *
 * All functions may be called from any thread, but for keccak_miner_free, after which the miner is gone. Structs are
 * copied in and out; no pointer that is passed in is kept.
 */
#ifndef KECCAK_MINER_H
#define KECCAK_MINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* cdef begin: read by build_ffi.py, so plain declarations only */

enum keccak_error {
    KECCAK_OK = 0,
    KECCAK_BAD_ARGUMENT = 1, /* a value outside its range */
    KECCAK_NO_MEMORY = 2,
    KECCAK_NO_THREADS = 3, /* the system refused to make a thread, or to pin one */
    KECCAK_NO_JOB = 4,     /* no job has this id, or not any more */
    KECCAK_BAD_RANGE = 5,  /* a nonce beyond 2^64 - 1 */
    KECCAK_NO_KERNEL = 6,  /* none of that name, or this CPU cannot run it */
    KECCAK_BAD_KERNEL = 7  /* the kernel failed its known answers */
};

/* What to search for. */
typedef struct {
    uint32_t index;        /* of the block */
    uint8_t entropy[32];   /* of the block */
    uint8_t farmer[32];    /* raw key */
    uint64_t cursor;       /* first nonce to hash */
    bool exhausted;        /* every nonce up to 2^64 - 1 has been hashed; cursor means nothing */
    bool has_best;         /* best_nonce is known from before; it is hashed here, not believed */
    uint64_t best_nonce;
    uint32_t cap;          /* zeros beyond which more are worth nothing, 0 to 64 */
    double weight;         /* worth of one more zero, finite, >= 0 */
} keccak_job_spec;

/* How far a job has come. */
typedef struct {
    uint64_t id;
    uint32_t index;
    uint64_t cursor;       /* nonces from here on have been given to no worker */
    bool exhausted;
    uint64_t hashes;       /* done for this job, since it was added or changed */
    int32_t zeros;         /* of the best hash; -1 while there is none */
    uint64_t nonce;
    uint8_t hash[32];
} keccak_job_state;

typedef struct {
    const char *kernel;    /* NULL for the fastest */
    uint32_t threads;      /* 1 to KECCAK_THREADS_MAX */
    int32_t niceness;      /* of the workers, 0 to 19 */
    const int32_t *cpus;   /* worker i is pinned to cpus[i % cpu_count]; none with cpu_count 0 */
    uint32_t cpu_count;
} keccak_miner_config;

typedef struct {
    uint64_t hashes;       /* since the miner was made */
    uint64_t improvements; /* how often any job's best has changed */
    uint64_t refuted;      /* candidates the reference contradicted: above 0 the kernel is broken, and it has stopped */
    uint32_t jobs;
    uint32_t busy;         /* workers that are hashing */
    bool running;          /* started, not stopped, before its deadline */
} keccak_miner_stats;

typedef struct keccak_miner keccak_miner;

/* Names of the kernels compiled in, slowest first; NULL from `position` = their number on. */
const char *keccak_miner_kernel_name(uint32_t position);
/* Hashes a kernel makes side by side; 0 for a name that was not compiled in. */
uint32_t keccak_miner_kernel_lanes(const char *kernel);
/* Can this CPU and system run it? */
bool keccak_miner_kernel_runs(const char *kernel);
/* Hold a kernel against its known answers. */
int keccak_miner_self_test(const char *kernel);

/* Make a miner, standing still. On failure nothing is left behind and *miner is NULL. */
int keccak_miner_new(const keccak_miner_config *config, keccak_miner **miner);
/* Stop, end the threads, free everything; waits for the threads however long that takes. NULL is allowed. A forked
 * child has none of the threads: this is the only call it may make, and it does nothing there. */
void keccak_miner_free(keccak_miner *miner);

int keccak_miner_add(keccak_miner *miner, const keccak_job_spec *spec, uint64_t *id);
/* Give a job a new spec, all of it; what is under way for the old one is dropped. */
int keccak_miner_change(keccak_miner *miner, uint64_t id, const keccak_job_spec *spec);
/* Change only what a job's hashes are worth. */
int keccak_miner_weigh(keccak_miner *miner, uint64_t id, uint32_t cap, double weight);
int keccak_miner_remove(keccak_miner *miner, uint64_t id);

int keccak_miner_read(keccak_miner *miner, uint64_t id, keccak_job_state *state);
/* Read up to `capacity` jobs at one instant; *count is how many there are. */
int keccak_miner_read_all(keccak_miner *miner, keccak_job_state *states, uint32_t capacity, uint32_t *count);
void keccak_miner_read_stats(keccak_miner *miner, keccak_miner_stats *stats);

/* Search until `deadline_ns` of CLOCK_MONOTONIC; 0 means until stopped. */
int keccak_miner_start(keccak_miner *miner, uint64_t deadline_ns);
/* Returns when no worker is hashing any more, within a few milliseconds; or after 40 ms, where the system gives a
 * worker no CPU time to end its chunk. Such a chunk is booked when it is done: until then `busy` counts it. */
void keccak_miner_stop(keccak_miner *miner);
/* Sleep until an improvement beyond `seen`, until the search has stopped or has no job worth a hash left, or until
 * `until_ns` of CLOCK_MONOTONIC; then read the stats. */
void keccak_miner_wait(keccak_miner *miner, uint64_t seen, uint64_t until_ns, keccak_miner_stats *stats);

/* Hash `count` nonces from spec->cursor on with `threads` threads. *best is the lowest nonce among those with the
 * most zeros, whatever the number of threads; id, cursor and exhausted are not set. Cap and weight play no part. */
int keccak_search_nonces(const char *kernel, uint32_t threads, const keccak_job_spec *spec, uint64_t count,
                         keccak_job_state *best);

/* Nanoseconds that a chain of `adds` dependent additions takes: one a cycle, so this tells the clock. */
uint64_t keccak_clock_chain(uint64_t adds);

/* cdef end */

#define KECCAK_THREADS_MAX 1024u

#endif
