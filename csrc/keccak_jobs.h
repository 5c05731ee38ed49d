/* Private to csrc/: the set of jobs and which comes next. Not thread-safe: the miner holds its lock. */
#ifndef KECCAK_JOBS_H
#define KECCAK_JOBS_H

#include "keccak_miner.h"
#include "keccak_search.h"

struct keccak_job {
    uint64_t message[KECCAK_LANES];
    struct keccak_best best;
    uint64_t id;
    uint64_t revision; /* grows with every change of what is searched for, so that late results can be told */
    uint64_t cursor;
    uint64_t granted;  /* nonces given out: of two jobs of equal worth the one with fewer goes first */
    uint64_t hashes;
    double weight;
    double worth; /* of the next hash */
    uint32_t index;
    uint32_t cap;
    uint32_t heap_place;
    bool exhausted;
};

struct keccak_jobs {
    struct keccak_job **slots; /* by slot; NULL where free */
    uint32_t *generations;     /* of each slot: the upper half of the ids it gives */
    struct keccak_job **heap;  /* most worthy first */
    uint32_t *free_slots;
    uint32_t capacity, count, free_count;
    uint64_t revisions;
};

/* A chunk of nonces for one worker, with all it needs to know. */
struct keccak_grant {
    uint64_t message[KECCAK_LANES];
    uint64_t id, revision;
    uint64_t first, last;
    int zeros; /* only more than these count */
};

void keccak_jobs_free(struct keccak_jobs *jobs);
int keccak_jobs_add(struct keccak_jobs *jobs, const keccak_job_spec *spec, uint64_t *id);
int keccak_jobs_change(struct keccak_jobs *jobs, uint64_t id, const keccak_job_spec *spec);
int keccak_jobs_weigh(struct keccak_jobs *jobs, uint64_t id, uint32_t cap, double weight);
int keccak_jobs_remove(struct keccak_jobs *jobs, uint64_t id);

/* The job of this id, or NULL. */
struct keccak_job *keccak_jobs_find(const struct keccak_jobs *jobs, uint64_t id);
void keccak_job_read(const struct keccak_job *job, keccak_job_state *state);

/* Is there a job whose next hash is worth anything? */
bool keccak_jobs_worth(const struct keccak_jobs *jobs);
/* Give at most about `nonces` of the worthiest job to a worker; only if keccak_jobs_worth(). */
void keccak_jobs_grant(struct keccak_jobs *jobs, uint64_t nonces, struct keccak_grant *grant);
/* Book what came of a grant; true when it improved its job. Results for a job that has gone or changed are dropped. */
bool keccak_jobs_settle(struct keccak_jobs *jobs, const struct keccak_grant *grant, const struct keccak_best *best);

#endif
