/* The jobs' order, and the worker threads under load: start, stop, add, change, remove and read, all at once.
 * The load runs for as many seconds as the first argument says; under ThreadSanitizer that is the point of it. */
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "keccak_jobs.h"

#define LOAD_THREADS 4
#define KEPT_JOBS 16

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static keccak_job_spec spec_of(unsigned farmer)
{
    keccak_job_spec spec = {.index = 7, .cap = 64, .weight = 1};
    spec.farmer[0] = (uint8_t)farmer;
    spec.farmer[1] = (uint8_t)(farmer >> 8);
    return spec;
}

/* Jobs, without threads */

static void test_equal_jobs_take_turns_and_the_lowest_best_comes_first(void)
{
    struct keccak_jobs jobs = {0};
    struct keccak_grant grant;
    uint64_t ids[100];
    unsigned turns[100] = {0};
    for (unsigned i = 0; i < 100; i++) {
        const keccak_job_spec spec = spec_of(i);
        CHECK(keccak_jobs_add(&jobs, &spec, &ids[i]) == KECCAK_OK);
    }
    for (unsigned i = 0; i < 300; i++) {
        keccak_jobs_grant(&jobs, 256, &grant);
        turns[grant.id]++;
    }
    for (unsigned i = 0; i < 100; i++)
        CHECK(turns[i] == 3);
    /* All but one have found something: that one has all turns until it has, too. */
    for (unsigned i = 0; i < 100; i++) {
        struct keccak_grant done = {.id = ids[i], .revision = keccak_jobs_find(&jobs, ids[i])->revision, .last = 255};
        CHECK(i == 42 || keccak_jobs_settle(&jobs, &done, &(struct keccak_best){.zeros = 1}));
    }
    for (unsigned i = 0; i < 10; i++) {
        keccak_jobs_grant(&jobs, 256, &grant);
        CHECK(grant.id == ids[42]);
    }
    keccak_jobs_free(&jobs);
}

static void test_worth_is_weight_times_chance_and_nothing_at_the_cap(void)
{
    struct keccak_jobs jobs = {0};
    struct keccak_grant grant;
    uint64_t light, heavy;
    keccak_job_spec spec = spec_of(1);
    spec.weight = 1;
    CHECK(keccak_jobs_add(&jobs, &spec, &light) == KECCAK_OK);
    spec = spec_of(2);
    spec.weight = 20; /* more than 16: worth more even with one zero more */
    CHECK(keccak_jobs_add(&jobs, &spec, &heavy) == KECCAK_OK);
    struct keccak_grant done = {.id = heavy, .revision = keccak_jobs_find(&jobs, heavy)->revision};
    keccak_jobs_settle(&jobs, &done, &(struct keccak_best){.zeros = 0});
    keccak_jobs_grant(&jobs, 256, &grant);
    CHECK(grant.id == heavy);
    keccak_jobs_settle(&jobs, &done, &(struct keccak_best){.zeros = 1});
    keccak_jobs_grant(&jobs, 256, &grant);
    CHECK(grant.id == light);
    CHECK(keccak_jobs_weigh(&jobs, light, 64, 0) == KECCAK_OK);
    keccak_jobs_grant(&jobs, 256, &grant);
    CHECK(grant.id == heavy);
    CHECK(keccak_jobs_weigh(&jobs, heavy, 1, 20) == KECCAK_OK);
    CHECK(!keccak_jobs_worth(&jobs));
    CHECK(keccak_jobs_weigh(&jobs, heavy, 2, 20) == KECCAK_OK);
    CHECK(keccak_jobs_worth(&jobs));
    keccak_jobs_free(&jobs);
}

static void test_any_weight_above_nothing_is_worth_something(void)
{
    static const double weights[] = {5e-324, 1e-300, 1, 1e308, 1.7976931348623157e308};
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
        for (int zeros = -1; zeros < 64; zeros++) {
            struct keccak_jobs jobs = {0};
            uint64_t id;
            keccak_job_spec spec = spec_of(1);
            spec.weight = weights[i];
            CHECK(keccak_jobs_add(&jobs, &spec, &id) == KECCAK_OK);
            struct keccak_grant done = {.id = id, .revision = keccak_jobs_find(&jobs, id)->revision};
            keccak_jobs_settle(&jobs, &done, &(struct keccak_best){.zeros = zeros});
            CHECK(keccak_jobs_worth(&jobs) && isfinite(jobs.heap[0]->worth));
            keccak_jobs_free(&jobs);
        }
}

static void test_grants_never_overlap_and_end_with_the_u64_range(void)
{
    struct keccak_jobs jobs = {0};
    struct keccak_grant grant;
    uint64_t id;
    keccak_job_spec spec = spec_of(1);
    spec.cursor = UINT64_MAX - 100003;
    CHECK(keccak_jobs_add(&jobs, &spec, &id) == KECCAK_OK);
    struct keccak_grant done = {.id = id, .revision = keccak_jobs_find(&jobs, id)->revision};
    keccak_jobs_settle(&jobs, &done, &(struct keccak_best){.zeros = 9});
    uint64_t expected = spec.cursor, granted = 0;
    while (keccak_jobs_worth(&jobs)) {
        keccak_jobs_grant(&jobs, 1000 + granted % 20000, &grant);
        CHECK(grant.first == expected && grant.last >= grant.first);
        granted += grant.last - grant.first + 1;
        expected = grant.last + 1;
    }
    CHECK(grant.last == UINT64_MAX && granted == 100004);
    CHECK(keccak_jobs_find(&jobs, id)->exhausted);
    keccak_jobs_free(&jobs);
}

static void test_results_for_a_job_that_changed_or_went_are_dropped(void)
{
    struct keccak_jobs jobs = {0};
    struct keccak_grant grant;
    uint64_t id, next;
    const keccak_job_spec spec = spec_of(1);
    CHECK(keccak_jobs_add(&jobs, &spec, &id) == KECCAK_OK);
    keccak_jobs_grant(&jobs, 256, &grant);
    CHECK(keccak_jobs_change(&jobs, id, &spec) == KECCAK_OK);
    CHECK(!keccak_jobs_settle(&jobs, &grant, &(struct keccak_best){.zeros = 5}));
    CHECK(keccak_jobs_find(&jobs, id)->best.zeros == -1);
    keccak_jobs_grant(&jobs, 256, &grant);
    CHECK(keccak_jobs_remove(&jobs, id) == KECCAK_OK);
    CHECK(keccak_jobs_remove(&jobs, id) == KECCAK_NO_JOB);
    CHECK(!keccak_jobs_settle(&jobs, &grant, &(struct keccak_best){.zeros = 5}));
    CHECK(keccak_jobs_add(&jobs, &spec, &next) == KECCAK_OK);
    CHECK(next != id); /* its place is used again, its id is not */
    CHECK(!keccak_jobs_settle(&jobs, &grant, &(struct keccak_best){.zeros = 5}));
    keccak_jobs_free(&jobs);
}

static void test_a_known_best_is_hashed_not_believed(void)
{
    struct keccak_jobs jobs = {0};
    keccak_job_spec spec = spec_of(1);
    uint64_t id;
    uint8_t hash[32];
    spec.has_best = true;
    spec.best_nonce = 99;
    CHECK(keccak_jobs_add(&jobs, &spec, &id) == KECCAK_OK);
    const struct keccak_job *job = keccak_jobs_find(&jobs, id);
    keccak_hash(job->message, 99, hash);
    CHECK(job->best.nonce == 99 && job->best.zeros == (int)keccak_zeros(hash));
    CHECK(memcmp(job->best.hash, hash, 32) == 0);
    keccak_jobs_free(&jobs);
}

/* With threads */

static void test_values_out_of_range_are_refused(void)
{
    keccak_miner *miner;
    keccak_job_state best;
    keccak_job_spec spec = spec_of(1);
    uint64_t id;
    CHECK(keccak_miner_new(&(keccak_miner_config){.threads = 0}, &miner) == KECCAK_BAD_ARGUMENT && !miner);
    CHECK(keccak_miner_new(&(keccak_miner_config){.threads = 10000}, &miner) == KECCAK_BAD_ARGUMENT && !miner);
    CHECK(keccak_miner_new(&(keccak_miner_config){.threads = 1, .niceness = 20}, &miner) == KECCAK_BAD_ARGUMENT);
    CHECK(keccak_miner_new(&(keccak_miner_config){.threads = 1, .cpu_count = 1}, &miner) == KECCAK_BAD_ARGUMENT);
    CHECK(keccak_miner_new(&(keccak_miner_config){.threads = 1, .kernel = "abacus"}, &miner) == KECCAK_NO_KERNEL);
    CHECK(keccak_miner_new(&(keccak_miner_config){.threads = 2, .cpu_count = 1, .cpus = (int32_t[]){1000}}, &miner) ==
          KECCAK_NO_THREADS);
    CHECK(keccak_search_nonces(NULL, 1, &spec, 0, &best) == KECCAK_BAD_ARGUMENT);
    CHECK(keccak_search_nonces(NULL, 0, &spec, 1, &best) == KECCAK_BAD_ARGUMENT);
    spec.cursor = UINT64_MAX;
    CHECK(keccak_search_nonces(NULL, 1, &spec, 1, &best) == KECCAK_OK && best.nonce == UINT64_MAX);
    CHECK(keccak_search_nonces(NULL, 1, &spec, 2, &best) == KECCAK_BAD_RANGE);
    CHECK(keccak_miner_new(&(keccak_miner_config){.threads = 1}, &miner) == KECCAK_OK);
    spec.cap = 65;
    CHECK(keccak_miner_add(miner, &spec, &id) == KECCAK_BAD_ARGUMENT);
    CHECK(keccak_miner_remove(miner, 3) == KECCAK_NO_JOB);
    keccak_miner_free(miner);
    keccak_miner_free(NULL);
}

static void test_the_number_of_threads_does_not_change_the_answer(void)
{
    keccak_job_spec spec = spec_of(5);
    keccak_job_state alone, together;
    spec.cursor = ((uint64_t)1 << 32) - 70001;
    CHECK(keccak_search_nonces("portable", 1, &spec, 200000, &alone) == KECCAK_OK);
    for (uint32_t threads = 2; threads <= 9; threads += 7) {
        CHECK(keccak_search_nonces(NULL, threads, &spec, 200000, &together) == KECCAK_OK);
        CHECK(memcmp(&alone, &together, sizeof alone) == 0);
    }
}

/* Every nonce that a stopped miner says it hashed, it hashed: brute force over the same range finds the same. */
static void test_a_stopped_miner_has_hashed_everything_below_its_cursors(void)
{
    keccak_miner *miner;
    keccak_miner_stats stats = {0};
    keccak_job_state state, best;
    uint64_t ids[3];
    CHECK(keccak_miner_new(&(keccak_miner_config){.threads = 3}, &miner) == KECCAK_OK);
    for (unsigned i = 0; i < 3; i++) {
        keccak_job_spec spec = spec_of(i);
        spec.cap = 3;
        CHECK(keccak_miner_add(miner, &spec, &ids[i]) == KECCAK_OK);
    }
    CHECK(keccak_miner_start(miner, 0) == KECCAK_OK);
    do /* until all stand at their caps */
        keccak_miner_wait(miner, UINT64_MAX, now_ns() + 100000000u, &stats);
    while (stats.busy || stats.hashes == 0);
    keccak_miner_stop(miner);
    uint64_t hashes = 0;
    for (unsigned i = 0; i < 3; i++) {
        keccak_job_spec spec = spec_of(i);
        CHECK(keccak_miner_read(miner, ids[i], &state) == KECCAK_OK);
        CHECK(state.zeros >= 3 && state.hashes == state.cursor);
        CHECK(keccak_search_nonces(NULL, 1, &spec, state.cursor, &best) == KECCAK_OK);
        CHECK(best.zeros == state.zeros);
        hashes += state.hashes;
    }
    keccak_miner_read_stats(miner, &stats);
    CHECK(stats.hashes == hashes && !stats.running);
    keccak_miner_free(miner);
}

static void test_a_deadline_that_has_passed_stops_at_once(void)
{
    keccak_miner *miner;
    keccak_miner_stats stats;
    const keccak_job_spec spec = spec_of(1);
    uint64_t id;
    CHECK(keccak_miner_new(&(keccak_miner_config){.threads = 2}, &miner) == KECCAK_OK);
    CHECK(keccak_miner_add(miner, &spec, &id) == KECCAK_OK);
    CHECK(keccak_miner_start(miner, 1) == KECCAK_OK);
    keccak_miner_wait(miner, 0, now_ns() + 10000000000u, &stats);
    CHECK(!stats.running && stats.hashes == 0);
    keccak_miner_free(miner);
}

/* A child of fork() has the miner, but no worker: to end must not wait for any. */
static void test_a_forked_child_ends_without_its_parents_threads(void)
{
    keccak_miner *miner;
    keccak_miner_stats stats;
    const keccak_job_spec spec = spec_of(1);
    uint64_t id;
    int status = 1;
    CHECK(keccak_miner_new(&(keccak_miner_config){.threads = 2}, &miner) == KECCAK_OK);
    CHECK(keccak_miner_add(miner, &spec, &id) == KECCAK_OK);
    CHECK(keccak_miner_start(miner, 0) == KECCAK_OK);
    keccak_miner_wait(miner, 0, now_ns() + 10000000000u, &stats);
    const pid_t child = fork();
    if (child == 0) {
        alarm(10);
        keccak_miner_free(miner);
        _exit(0);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    keccak_miner_free(miner);
}

static void *keep_busy(void *ended)
{
    while (!atomic_load((atomic_bool *)ended))
        ;
    return NULL;
}

/* Nice workers beside greedy threads may wait a second for their turn: a stop does not. */
static void test_a_stop_does_not_wait_for_workers_that_get_no_cpu(void)
{
    enum { HOGS = 8, STOPS = 15 };
    keccak_miner *miner;
    pthread_t hogs[HOGS];
    atomic_bool ended = false;
    const keccak_job_spec spec = spec_of(1);
    uint64_t id;
    unsigned late = 0;
    CHECK(keccak_miner_new(&(keccak_miner_config){.threads = 8, .niceness = 19}, &miner) == KECCAK_OK);
    CHECK(keccak_miner_add(miner, &spec, &id) == KECCAK_OK);
    for (unsigned i = 0; i < HOGS; i++)
        CHECK(pthread_create(&hogs[i], NULL, keep_busy, &ended) == 0);
    for (unsigned i = 0; i < STOPS; i++) {
        CHECK(keccak_miner_start(miner, 0) == KECCAK_OK);
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        const uint64_t began_ns = now_ns();
        keccak_miner_stop(miner);
        late += now_ns() - began_ns > 150000000u; /* our own turn may come late as well, but not by that much */
    }
    atomic_store(&ended, true);
    for (unsigned i = 0; i < HOGS; i++)
        pthread_join(hogs[i], NULL);
    CHECK(late == 0);
    keccak_miner_free(miner);
}

struct load {
    keccak_miner *miner;
    uint64_t until_ns;
    const uint64_t *kept;
    unsigned seed;
    atomic_uint *turns;
};

static void *load(void *argument)
{
    struct load *mine = argument;
    keccak_job_state states[KEPT_JOBS + LOAD_THREADS];
    keccak_miner_stats stats;
    unsigned turn = mine->seed;
    for (; now_ns() < mine->until_ns; turn++) {
        keccak_job_spec spec = spec_of(turn);
        keccak_job_state state;
        uint64_t id;
        uint32_t count;
        CHECK(keccak_miner_add(mine->miner, &spec, &id) == KECCAK_OK);
        CHECK(keccak_miner_start(mine->miner, turn % 3 ? 0 : now_ns() + 1000000u) == KECCAK_OK);
        CHECK(keccak_miner_change(mine->miner, mine->kept[turn % KEPT_JOBS], &spec) == KECCAK_OK);
        CHECK(keccak_miner_weigh(mine->miner, id, turn % 65, turn % 7) == KECCAK_OK);
        keccak_miner_read_stats(mine->miner, &stats);
        keccak_miner_wait(mine->miner, stats.improvements, now_ns() + 2000000u, &stats);
        CHECK(keccak_miner_read(mine->miner, id, &state) == KECCAK_OK);
        CHECK(keccak_miner_read_all(mine->miner, states, KEPT_JOBS + LOAD_THREADS, &count) == KECCAK_OK);
        CHECK(count > KEPT_JOBS && count <= KEPT_JOBS + LOAD_THREADS);
        if (turn % 5 == 0)
            keccak_miner_stop(mine->miner);
        CHECK(keccak_miner_remove(mine->miner, id) == KECCAK_OK);
        CHECK(stats.refuted == 0);
    }
    atomic_fetch_add(mine->turns, turn - mine->seed);
    return NULL;
}

static void test_everything_at_once(unsigned seconds)
{
    keccak_miner *miner;
    keccak_miner_stats stats;
    pthread_t threads[LOAD_THREADS];
    struct load loads[LOAD_THREADS];
    uint64_t kept[KEPT_JOBS];
    atomic_uint turns = 0;
    const uint64_t until_ns = now_ns() + seconds * (uint64_t)1000000000u;
    CHECK(keccak_miner_new(&(keccak_miner_config){.threads = 4, .niceness = 5}, &miner) == KECCAK_OK);
    for (unsigned i = 0; i < KEPT_JOBS; i++) {
        const keccak_job_spec spec = spec_of(i);
        CHECK(keccak_miner_add(miner, &spec, &kept[i]) == KECCAK_OK);
    }
    for (unsigned i = 0; i < LOAD_THREADS; i++) {
        loads[i] = (struct load){miner, until_ns, kept, 1000 * i, &turns};
        CHECK(pthread_create(&threads[i], NULL, load, &loads[i]) == 0);
    }
    for (unsigned i = 0; i < LOAD_THREADS; i++)
        pthread_join(threads[i], NULL);
    keccak_miner_stop(miner);
    keccak_miner_wait(miner, UINT64_MAX, now_ns() + 10000000000u, &stats); /* the last chunk may be late */
    CHECK(stats.jobs == KEPT_JOBS && stats.busy == 0 && stats.hashes > 0);
    printf("%u s of load: %u turns, %u million hashes\n", seconds, atomic_load(&turns),
           (unsigned)(stats.hashes / 1000000));
    /* And once more with workers hashing: freeing must end them by itself. */
    CHECK(keccak_miner_start(miner, 0) == KECCAK_OK);
    keccak_miner_free(miner);
}

int main(int count, char **arguments)
{
    test_equal_jobs_take_turns_and_the_lowest_best_comes_first();
    test_worth_is_weight_times_chance_and_nothing_at_the_cap();
    test_any_weight_above_nothing_is_worth_something();
    test_grants_never_overlap_and_end_with_the_u64_range();
    test_results_for_a_job_that_changed_or_went_are_dropped();
    test_a_known_best_is_hashed_not_believed();
    test_values_out_of_range_are_refused();
    test_the_number_of_threads_does_not_change_the_answer();
    test_a_stopped_miner_has_hashed_everything_below_its_cursors();
    test_a_deadline_that_has_passed_stops_at_once();
    test_a_forked_child_ends_without_its_parents_threads();
    test_a_stop_does_not_wait_for_workers_that_get_no_cpu();
    test_everything_at_once(count > 1 ? (unsigned)atoi(arguments[1]) : 2);
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
