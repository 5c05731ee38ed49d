/* Worker threads over the set of jobs. One mutex guards everything that is shared; a worker holds it for the moment
 * it takes a chunk and books one, some 500 times a second. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

#include "keccak_jobs.h"

/* Long enough that the lock costs nothing, short enough that a stop need not interrupt a chunk. */
#define CHUNK_NS 2000000u
#define CHUNK_FIRST 1024u
#define CHUNK_MAX ((uint64_t)1 << 20)
/* A chunk is at most so many times the one before: where the clock ticks rarely, none may seem to cost nothing. */
#define CHUNK_GROWTH 8u
/* How long a stop waits for chunks under way. They take 2 ms of CPU time, but a nice worker may not get that soon. */
#define STOP_NS 40000000u
/* A kernel's tables take 20 kB; the rest is for libc. */
#define STACK_BYTES (256u * 1024u)

struct keccak_miner {
    pthread_mutex_t lock;
    pthread_cond_t work;    /* to workers: there may be something to do */
    pthread_cond_t changed; /* to waiters: an improvement, a stop, a worker gone idle */
    struct keccak_jobs jobs;
    const struct keccak_kernel *kernel;
    uint64_t deadline_ns; /* CLOCK_MONOTONIC, 0 for none */
    uint64_t hashes, improvements, refuted;
    uint32_t busy;
    uint32_t thread_count;
    pid_t process; /* whose threads these are: a forked child has none of them */
    int niceness;
    bool running, ending;
    pthread_t threads[];
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
}

/* Is there something to do now? Notices a deadline that has passed. */
static bool has_work(keccak_miner *miner)
{
    if (miner->running && miner->deadline_ns && now_ns() >= miner->deadline_ns)
        miner->running = false;
    return miner->running && keccak_jobs_worth(&miner->jobs);
}

/* Wake the waiters, who look for themselves what has changed. Not under the lock, which the caller holds: whoever wakes
 * takes the CPU from a nice worker at once, and would then need the lock of one that does not run. */
static void tell_waiters(keccak_miner *miner)
{
    pthread_mutex_unlock(&miner->lock);
    pthread_cond_broadcast(&miner->changed);
    pthread_mutex_lock(&miner->lock);
}

/* Nonces that will take CHUNK_NS, going by the chunk before. */
static uint64_t next_chunk(uint64_t nonces, uint64_t elapsed_ns)
{
    const double chunk = (double)nonces * CHUNK_NS / (double)(elapsed_ns ? elapsed_ns : 1);
    const uint64_t most = nonces < CHUNK_MAX / CHUNK_GROWTH ? nonces * CHUNK_GROWTH : CHUNK_MAX;
    return chunk < (double)most ? (uint64_t)chunk : most;
}

static void *work(void *argument)
{
    keccak_miner *miner = argument;
    uint64_t chunk = CHUNK_FIRST;
    struct keccak_grant grant;
    struct keccak_search search;

#if defined(__linux__)
    if (miner->niceness) /* Linux keeps niceness by thread; a refusal costs nothing but politeness */
        (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), miner->niceness);
#endif
    pthread_mutex_lock(&miner->lock);
    while (!miner->ending) {
        if (!has_work(miner)) {
            tell_waiters(miner);
            if (!miner->ending && !has_work(miner))
                pthread_cond_wait(&miner->work, &miner->lock);
            continue;
        }
        keccak_jobs_grant(&miner->jobs, chunk, &grant);
        miner->busy++;
        pthread_mutex_unlock(&miner->lock);

        const uint64_t began_ns = now_ns();
        keccak_search_begin(&search, miner->kernel, grant.message);
        search.best.zeros = grant.zeros;
        keccak_search_range(&search, grant.first, grant.last);
        chunk = next_chunk(grant.last - grant.first + 1, now_ns() - began_ns);

        pthread_mutex_lock(&miner->lock);
        miner->busy--;
        miner->hashes += grant.last - grant.first + 1;
        miner->refuted += search.refuted;
        if (search.refuted)
            miner->running = false;
        if (keccak_jobs_settle(&miner->jobs, &grant, &search.best)) {
            miner->improvements++;
            tell_waiters(miner);
        }
    }
    pthread_mutex_unlock(&miner->lock);
    return NULL;
}

static const struct keccak_kernel *usable_kernel(const char *name)
{
    const unsigned features = keccak_cpu_features();
    const struct keccak_kernel *kernel = name ? keccak_kernel_named(name) : keccak_fastest_kernel(features);
    return kernel && (kernel->needs & ~features) == 0 ? kernel : NULL;
}

static bool init_sync(keccak_miner *miner)
{
    pthread_condattr_t monotonic;
    bool done = false;
    if (pthread_condattr_init(&monotonic) != 0)
        return false;
    if (pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 && pthread_mutex_init(&miner->lock, NULL) == 0) {
        if (pthread_cond_init(&miner->work, NULL) == 0) {
            done = pthread_cond_init(&miner->changed, &monotonic) == 0;
            if (!done)
                pthread_cond_destroy(&miner->work);
        }
        if (!done)
            pthread_mutex_destroy(&miner->lock);
    }
    pthread_condattr_destroy(&monotonic);
    return done;
}

static bool pin(pthread_attr_t *attributes, int32_t cpu)
{
#if defined(__linux__)
    cpu_set_t set;
    if (cpu < 0 || cpu >= CPU_SETSIZE)
        return false;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    return pthread_attr_setaffinity_np(attributes, sizeof set, &set) == 0;
#else
    (void)attributes;
    (void)cpu;
    return false;
#endif
}

static bool start_threads(keccak_miner *miner, const keccak_miner_config *config)
{
    pthread_attr_t attributes;
    bool all = true;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    all = pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0;
    for (uint32_t i = 0; all && i < config->threads; i++) {
        all = (config->cpu_count == 0 || pin(&attributes, config->cpus[i % config->cpu_count])) &&
              pthread_create(&miner->threads[i], &attributes, work, miner) == 0;
        miner->thread_count += all;
    }
    pthread_attr_destroy(&attributes);
    return all;
}

int keccak_miner_new(const keccak_miner_config *config, keccak_miner **result)
{
    *result = NULL;
    if (config->threads < 1 || config->threads > KECCAK_THREADS_MAX || config->niceness < 0 || config->niceness > 19 ||
        (config->cpu_count && !config->cpus))
        return KECCAK_BAD_ARGUMENT;
    const struct keccak_kernel *kernel = usable_kernel(config->kernel);
    if (!kernel)
        return KECCAK_NO_KERNEL;
    keccak_miner *miner = calloc(1, sizeof *miner + config->threads * sizeof miner->threads[0]);
    if (!miner)
        return KECCAK_NO_MEMORY;
    miner->kernel = kernel;
    miner->niceness = config->niceness;
    miner->process = getpid();
    if (!init_sync(miner)) {
        free(miner);
        return KECCAK_NO_MEMORY;
    }
    if (!start_threads(miner, config)) {
        keccak_miner_free(miner);
        return KECCAK_NO_THREADS;
    }
    *result = miner;
    return KECCAK_OK;
}

void keccak_miner_free(keccak_miner *miner)
{
    if (!miner || miner->process != getpid())
        return; /* in a forked child: no thread would ever be joined, and its copy of the memory goes with it */
    pthread_mutex_lock(&miner->lock);
    miner->ending = true;
    miner->running = false;
    pthread_cond_broadcast(&miner->changed);
    pthread_cond_broadcast(&miner->work);
    pthread_mutex_unlock(&miner->lock);
    for (uint32_t i = 0; i < miner->thread_count; i++)
        pthread_join(miner->threads[i], NULL);
    keccak_jobs_free(&miner->jobs);
    pthread_cond_destroy(&miner->changed);
    pthread_cond_destroy(&miner->work);
    pthread_mutex_destroy(&miner->lock);
    free(miner);
}

/* The set has changed. Workers that stand still are left alone: a start will wake them. */
static void wake_workers(keccak_miner *miner)
{
    if (miner->running)
        pthread_cond_broadcast(&miner->work);
}

int keccak_miner_add(keccak_miner *miner, const keccak_job_spec *spec, uint64_t *id)
{
    pthread_mutex_lock(&miner->lock);
    const int error = keccak_jobs_add(&miner->jobs, spec, id);
    wake_workers(miner);
    pthread_mutex_unlock(&miner->lock);
    return error;
}

int keccak_miner_change(keccak_miner *miner, uint64_t id, const keccak_job_spec *spec)
{
    pthread_mutex_lock(&miner->lock);
    const int error = keccak_jobs_change(&miner->jobs, id, spec);
    wake_workers(miner);
    pthread_mutex_unlock(&miner->lock);
    return error;
}

int keccak_miner_weigh(keccak_miner *miner, uint64_t id, uint32_t cap, double weight)
{
    pthread_mutex_lock(&miner->lock);
    const int error = keccak_jobs_weigh(&miner->jobs, id, cap, weight);
    wake_workers(miner);
    pthread_mutex_unlock(&miner->lock);
    return error;
}

int keccak_miner_remove(keccak_miner *miner, uint64_t id)
{
    pthread_mutex_lock(&miner->lock);
    const int error = keccak_jobs_remove(&miner->jobs, id);
    pthread_mutex_unlock(&miner->lock);
    return error;
}

int keccak_miner_read(keccak_miner *miner, uint64_t id, keccak_job_state *state)
{
    pthread_mutex_lock(&miner->lock);
    const struct keccak_job *job = keccak_jobs_find(&miner->jobs, id);
    if (job)
        keccak_job_read(job, state);
    pthread_mutex_unlock(&miner->lock);
    return job ? KECCAK_OK : KECCAK_NO_JOB;
}

int keccak_miner_read_all(keccak_miner *miner, keccak_job_state *states, uint32_t capacity, uint32_t *count)
{
    pthread_mutex_lock(&miner->lock);
    *count = miner->jobs.count;
    for (uint32_t i = 0; i < *count && i < capacity; i++)
        keccak_job_read(miner->jobs.heap[i], &states[i]);
    pthread_mutex_unlock(&miner->lock);
    return KECCAK_OK;
}

static void read_stats(const keccak_miner *miner, keccak_miner_stats *stats)
{
    stats->hashes = miner->hashes;
    stats->improvements = miner->improvements;
    stats->refuted = miner->refuted;
    stats->jobs = miner->jobs.count;
    stats->busy = miner->busy;
    stats->running = miner->running && !(miner->deadline_ns && now_ns() >= miner->deadline_ns);
}

void keccak_miner_read_stats(keccak_miner *miner, keccak_miner_stats *stats)
{
    pthread_mutex_lock(&miner->lock);
    read_stats(miner, stats);
    pthread_mutex_unlock(&miner->lock);
}

int keccak_miner_start(keccak_miner *miner, uint64_t deadline_ns)
{
    int error = KECCAK_OK;
    pthread_mutex_lock(&miner->lock);
    if (miner->refuted) {
        error = KECCAK_BAD_KERNEL;
    } else {
        miner->deadline_ns = deadline_ns;
        miner->running = true;
        pthread_cond_broadcast(&miner->work);
    }
    pthread_mutex_unlock(&miner->lock);
    return error;
}

void keccak_miner_stop(keccak_miner *miner)
{
    const struct timespec until = timespec_of(now_ns() + STOP_NS);
    pthread_mutex_lock(&miner->lock);
    miner->running = false;
    pthread_cond_broadcast(&miner->changed);
    while (miner->busy && !miner->running) /* until the chunks under way are done, or somebody starts anew */
        if (pthread_cond_timedwait(&miner->changed, &miner->lock, &until) != 0)
            break;
    pthread_mutex_unlock(&miner->lock);
}

void keccak_miner_wait(keccak_miner *miner, uint64_t seen, uint64_t until_ns, keccak_miner_stats *stats)
{
    const struct timespec until = timespec_of(until_ns);
    pthread_mutex_lock(&miner->lock);
    while (miner->improvements <= seen && (miner->busy || has_work(miner)))
        if (pthread_cond_timedwait(&miner->changed, &miner->lock, &until) != 0)
            break;
    read_stats(miner, stats);
    pthread_mutex_unlock(&miner->lock);
}

const char *keccak_miner_kernel_name(uint32_t position)
{
    for (uint32_t i = 0; keccak_kernels[i]; i++)
        if (i == position)
            return keccak_kernels[i]->name;
    return NULL;
}

uint32_t keccak_miner_kernel_lanes(const char *name)
{
    const struct keccak_kernel *kernel = keccak_kernel_named(name);
    return kernel ? kernel->lanes : 0;
}

bool keccak_miner_kernel_runs(const char *name)
{
    return usable_kernel(name) != NULL;
}

int keccak_miner_self_test(const char *name)
{
    const struct keccak_kernel *kernel = usable_kernel(name);
    if (!kernel)
        return KECCAK_NO_KERNEL;
    return keccak_self_test(kernel) ? KECCAK_OK : KECCAK_BAD_KERNEL;
}
