#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "keccak_jobs.h"

/* A job begins with small chunks: with few zeros the next one is near, and another job is soon worth more. */
#define CHUNK_MIN 256u
/* Beyond this, chunks end where the kernels' largest blocks do. */
#define CHUNK_ALIGNED ((uint64_t)KECCAK_GROUP << KECCAK_STEP_BITS_MAX)

static bool spec_is_valid(const keccak_job_spec *spec)
{
    return spec->cap <= 64 && isfinite(spec->weight) && spec->weight >= 0;
}

/* Chance that one hash has more than the best's zeros, times what those are worth up to the cap. A weight so small
 * or so large that the product leaves the range of a double is still more than nothing, and finite. */
static double worth_of(const struct keccak_job *job)
{
    if (job->exhausted || job->best.zeros >= (int)job->cap || !(job->weight > 0))
        return 0;
    const double gain = (ldexp(1, -4 * job->best.zeros) - ldexp(1, -4 * (int)job->cap)) / 15;
    return fmin(fmax(job->weight * gain, DBL_TRUE_MIN), DBL_MAX);
}

static bool goes_before(const struct keccak_job *a, const struct keccak_job *b)
{
    if (a->worth != b->worth)
        return a->worth > b->worth;
    return a->granted < b->granted;
}

static void place(struct keccak_jobs *jobs, uint32_t at, struct keccak_job *job)
{
    jobs->heap[at] = job;
    job->heap_place = at;
}

/* Restore the heap's order around a job whose worth or turn has changed. */
static void reorder(struct keccak_jobs *jobs, struct keccak_job *job)
{
    uint32_t at = job->heap_place;
    while (at > 0 && goes_before(job, jobs->heap[(at - 1) / 2])) {
        place(jobs, at, jobs->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= jobs->count)
            break;
        if (child + 1 < jobs->count && goes_before(jobs->heap[child + 1], jobs->heap[child]))
            child++;
        if (!goes_before(jobs->heap[child], job))
            break;
        place(jobs, at, jobs->heap[child]);
        at = child;
    }
    place(jobs, at, job);
}

static bool resize(void *array, uint32_t count, size_t size)
{
    void **pointer = array;
    void *grown = realloc(*pointer, count * size);
    if (grown)
        *pointer = grown;
    return grown != NULL;
}

static int grow(struct keccak_jobs *jobs)
{
    if (jobs->capacity > UINT32_MAX / 4)
        return KECCAK_NO_MEMORY;
    const uint32_t capacity = jobs->capacity ? 2 * jobs->capacity : 16;
    /* Each array is valid after each step: one that grew before another failed is merely longer than needed. */
    if (!resize(&jobs->slots, capacity, sizeof *jobs->slots) || !resize(&jobs->heap, capacity, sizeof *jobs->heap) ||
        !resize(&jobs->generations, capacity, sizeof *jobs->generations) ||
        !resize(&jobs->free_slots, capacity, sizeof *jobs->free_slots))
        return KECCAK_NO_MEMORY;
    for (uint32_t slot = capacity; slot-- > jobs->capacity;) {
        jobs->slots[slot] = NULL;
        jobs->generations[slot] = 0;
        jobs->free_slots[jobs->free_count++] = slot;
    }
    jobs->capacity = capacity;
    return KECCAK_OK;
}

static void describe(struct keccak_jobs *jobs, struct keccak_job *job, const keccak_job_spec *spec)
{
    keccak_message(job->message, spec->index, spec->entropy, spec->farmer);
    job->index = spec->index;
    job->revision = ++jobs->revisions;
    job->cursor = spec->cursor;
    job->exhausted = spec->exhausted;
    job->granted = 0;
    job->hashes = 0;
    job->cap = spec->cap;
    job->weight = spec->weight;
    memset(&job->best, 0, sizeof job->best);
    job->best.zeros = -1;
    if (spec->has_best) {
        keccak_hash(job->message, spec->best_nonce, job->best.hash);
        job->best.nonce = spec->best_nonce;
        job->best.zeros = (int)keccak_zeros(job->best.hash);
    }
    job->worth = worth_of(job);
}

void keccak_jobs_free(struct keccak_jobs *jobs)
{
    for (uint32_t i = 0; i < jobs->count; i++)
        free(jobs->heap[i]);
    free(jobs->slots);
    free(jobs->heap);
    free(jobs->generations);
    free(jobs->free_slots);
    memset(jobs, 0, sizeof *jobs);
}

int keccak_jobs_add(struct keccak_jobs *jobs, const keccak_job_spec *spec, uint64_t *id)
{
    if (!spec_is_valid(spec))
        return KECCAK_BAD_ARGUMENT;
    struct keccak_job *job = calloc(1, sizeof *job);
    if (!job || (jobs->free_count == 0 && grow(jobs) != KECCAK_OK)) {
        free(job);
        return KECCAK_NO_MEMORY;
    }
    const uint32_t slot = jobs->free_slots[--jobs->free_count];
    job->id = *id = (uint64_t)jobs->generations[slot] << 32 | slot;
    jobs->slots[slot] = job;
    describe(jobs, job, spec);
    place(jobs, jobs->count++, job);
    reorder(jobs, job);
    return KECCAK_OK;
}

struct keccak_job *keccak_jobs_find(const struct keccak_jobs *jobs, uint64_t id)
{
    const uint32_t slot = (uint32_t)id;
    struct keccak_job *job = slot < jobs->capacity ? jobs->slots[slot] : NULL;
    return job && job->id == id ? job : NULL;
}

int keccak_jobs_change(struct keccak_jobs *jobs, uint64_t id, const keccak_job_spec *spec)
{
    struct keccak_job *job = keccak_jobs_find(jobs, id);
    if (!job)
        return KECCAK_NO_JOB;
    if (!spec_is_valid(spec))
        return KECCAK_BAD_ARGUMENT;
    describe(jobs, job, spec);
    reorder(jobs, job);
    return KECCAK_OK;
}

int keccak_jobs_weigh(struct keccak_jobs *jobs, uint64_t id, uint32_t cap, double weight)
{
    struct keccak_job *job = keccak_jobs_find(jobs, id);
    if (!job)
        return KECCAK_NO_JOB;
    if (cap > 64 || !isfinite(weight) || weight < 0)
        return KECCAK_BAD_ARGUMENT;
    job->cap = cap;
    job->weight = weight;
    job->worth = worth_of(job);
    reorder(jobs, job);
    return KECCAK_OK;
}

int keccak_jobs_remove(struct keccak_jobs *jobs, uint64_t id)
{
    struct keccak_job *job = keccak_jobs_find(jobs, id);
    if (!job)
        return KECCAK_NO_JOB;
    const uint32_t slot = (uint32_t)id;
    struct keccak_job *moved = jobs->heap[--jobs->count];
    if (moved != job) {
        place(jobs, job->heap_place, moved);
        reorder(jobs, moved);
    }
    jobs->slots[slot] = NULL;
    jobs->generations[slot]++;
    jobs->free_slots[jobs->free_count++] = slot;
    free(job);
    return KECCAK_OK;
}

void keccak_job_read(const struct keccak_job *job, keccak_job_state *state)
{
    memset(state, 0, sizeof *state);
    state->id = job->id;
    state->index = job->index;
    state->cursor = job->cursor;
    state->exhausted = job->exhausted;
    state->hashes = job->hashes;
    state->zeros = job->best.zeros;
    state->nonce = job->best.nonce;
    memcpy(state->hash, job->best.hash, sizeof state->hash);
}

bool keccak_jobs_worth(const struct keccak_jobs *jobs)
{
    return jobs->count > 0 && jobs->heap[0]->worth > 0;
}

/* Hashes after which a job of so many zeros has most probably got one more. */
static uint64_t enough_for(int zeros)
{
    return zeros < 0 ? CHUNK_MIN : zeros >= 10 ? UINT64_MAX : (uint64_t)1 << (4 * zeros + 8);
}

void keccak_jobs_grant(struct keccak_jobs *jobs, uint64_t nonces, struct keccak_grant *grant)
{
    struct keccak_job *job = jobs->heap[0];

    const uint64_t enough = enough_for(job->best.zeros);
    if (nonces > enough)
        nonces = enough;
    if (nonces < CHUNK_MIN)
        nonces = CHUNK_MIN;
    const uint64_t room = UINT64_MAX - job->cursor; /* nonces after the cursor's own */
    uint64_t last = job->cursor + (nonces - 1 < room ? nonces - 1 : room);
    /* End on a boundary, so that the next chunk begins on one and is all large blocks. */
    const uint64_t beyond = (last + 1) & ((nonces >= CHUNK_ALIGNED ? CHUNK_ALIGNED : CHUNK_MIN) - 1);
    if (beyond <= last - job->cursor)
        last -= beyond;

    memcpy(grant->message, job->message, sizeof grant->message);
    grant->id = job->id;
    grant->revision = job->revision;
    grant->first = job->cursor;
    grant->last = last;
    grant->zeros = job->best.zeros;

    job->granted += last - job->cursor + 1;
    if (last == UINT64_MAX) {
        job->cursor = UINT64_MAX;
        job->exhausted = true;
        job->worth = 0;
    } else {
        job->cursor = last + 1;
    }
    reorder(jobs, job);
}

bool keccak_jobs_settle(struct keccak_jobs *jobs, const struct keccak_grant *grant, const struct keccak_best *best)
{
    struct keccak_job *job = keccak_jobs_find(jobs, grant->id);
    if (!job || job->revision != grant->revision)
        return false;
    job->hashes += grant->last - grant->first + 1;
    if (best->zeros <= job->best.zeros)
        return false;
    job->best = *best;
    job->worth = worth_of(job);
    reorder(jobs, job);
    return true;
}
