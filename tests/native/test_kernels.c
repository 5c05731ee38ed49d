/* Every kernel that was compiled in and that this CPU runs, against the textbook and against each other. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "keccak_miner.h"
#include "keccak_search.h"
#include "textbook.h"

#define CHAINS 8u
#define STATES 1000000u

static uint64_t random_state = 0x853c49e6748fea9bu;

/* splitmix64, seeded: every run sees the same. */
static uint64_t random_u64(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void random_bytes(uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)random_u64();
}

static bool runs(const struct keccak_kernel *kernel)
{
    return (kernel->needs & ~keccak_cpu_features()) == 0;
}

/* Fold the lanes of the chains' last states into one number. */
static uint64_t fold(uint64_t digest, uint64_t lane)
{
    return (digest ^ lane) * 0x100000001b3u;
}

static void start_of_chain(uint64_t state[KECCAK_LANES], unsigned chain)
{
    for (unsigned i = 0; i < KECCAK_LANES; i++)
        state[i] = chain * 0x0101010101010101u + i;
}

/* A million states in eight chains, each state the permutation of the one before. */
static uint64_t digest_by_textbook(void)
{
    uint64_t digest = 0xcbf29ce484222325u, state[KECCAK_LANES];
    for (unsigned chain = 0; chain < CHAINS; chain++) {
        start_of_chain(state, chain);
        for (unsigned i = 0; i < STATES / CHAINS; i++)
            textbook_permute(state);
        for (unsigned i = 0; i < KECCAK_LANES; i++)
            digest = fold(digest, state[i]);
    }
    return digest;
}

static uint64_t digest_by(const struct keccak_kernel *kernel)
{
    uint64_t digest = 0xcbf29ce484222325u, state[KECCAK_LANES], states[KECCAK_LANES * CHAINS];
    const unsigned lanes = kernel->lanes;
    for (unsigned chain = 0; chain < CHAINS; chain += lanes) {
        for (unsigned lane = 0; lane < lanes; lane++) {
            start_of_chain(state, chain + lane);
            for (unsigned i = 0; i < KECCAK_LANES; i++)
                states[i * lanes + lane] = state[i];
        }
        for (unsigned i = 0; i < STATES / CHAINS; i++)
            kernel->permute(states);
        for (unsigned lane = 0; lane < lanes; lane++)
            for (unsigned i = 0; i < KECCAK_LANES; i++)
                digest = fold(digest, states[i * lanes + lane]);
    }
    return digest;
}

static void test_a_chain_of_a_million_states_gives_one_digest(const struct keccak_kernel *kernel, uint64_t expected)
{
    CHECK(digest_by(kernel) == expected);
}

static void test_the_reference_hashes_as_the_textbook(void)
{
    uint8_t preimage[76], expected[32], digest[32];
    uint64_t message[KECCAK_LANES];
    for (int i = 0; i < 1000; i++) {
        random_bytes(preimage, sizeof preimage);
        uint32_t index = 0;
        uint64_t nonce = 0;
        for (int j = 0; j < 4; j++)
            index = index << 8 | preimage[j];
        for (int j = 4; j < 12; j++)
            nonce = nonce << 8 | preimage[j];
        textbook_keccak256(preimage, sizeof preimage, expected);
        keccak_message(message, index, preimage + 12, preimage + 44);
        keccak_hash(message, nonce, digest);
        CHECK(memcmp(digest, expected, sizeof digest) == 0);
    }
}

static void test_zeros_and_their_masks_agree(void)
{
    uint8_t digest[32];
    for (unsigned zeros = 0; zeros <= 64; zeros++) {
        memset(digest, 0, sizeof digest);
        if (zeros < 64)
            digest[zeros / 2] = zeros % 2 ? 0x01 : 0x10;
        CHECK(keccak_zeros(digest) == zeros);
        uint64_t word = 0;
        for (unsigned i = 0; i < 8; i++)
            word |= (uint64_t)digest[i] << (8 * i);
        CHECK((word & keccak_zeros_mask(zeros)) == 0);
        if (zeros < 16)
            CHECK((word & keccak_zeros_mask(zeros + 1)) != 0);
    }
}

/* What a search must find: hash every nonce by the textbook's own steps' equal, the reference. */
static struct keccak_best brute_force(const uint64_t message[KECCAK_LANES], uint64_t first, uint64_t last)
{
    struct keccak_best best = {.zeros = -1};
    uint8_t hash[32];
    for (uint64_t nonce = first;; nonce++) {
        keccak_hash(message, nonce, hash);
        const int zeros = (int)keccak_zeros(hash);
        if (zeros > best.zeros) {
            best.zeros = zeros;
            best.nonce = nonce;
            memcpy(best.hash, hash, sizeof hash);
        }
        if (nonce == last)
            return best;
    }
}

static void compare(const struct keccak_kernel *kernel, uint64_t first, uint64_t count)
{
    uint8_t entropy[32], farmer[32];
    uint64_t message[KECCAK_LANES];
    struct keccak_search search;

    random_bytes(entropy, sizeof entropy);
    random_bytes(farmer, sizeof farmer);
    keccak_message(message, (uint32_t)random_u64(), entropy, farmer);
    const struct keccak_best expected = brute_force(message, first, first + (count - 1));
    keccak_search_begin(&search, kernel, message);
    keccak_search_range(&search, first, first + (count - 1));
    CHECK(search.refuted == 0);
    CHECK(search.best.zeros == expected.zeros);
    CHECK(search.best.nonce == expected.nonce);
    CHECK(memcmp(search.best.hash, expected.hash, 32) == 0);
}

static void test_searches_find_what_brute_force_finds(const struct keccak_kernel *kernel)
{
    static const uint64_t edges[] = {
        0, 8, 256, 8192, 16384, (uint64_t)1 << 32, (uint64_t)1 << 33, (uint64_t)1 << 63, (uint64_t)3 << 62,
    };
    for (size_t i = 0; i < sizeof edges / sizeof *edges; i++)
        for (uint64_t count = 1; count <= 17; count++)
            for (uint64_t before = 0; before <= 9 && before <= edges[i]; before += 3)
                compare(kernel, edges[i] - before, count);
    for (uint64_t count = 1; count <= 17; count++)
        compare(kernel, UINT64_MAX - (count - 1), count);
    for (size_t i = 1; i < sizeof edges / sizeof *edges; i++)
        compare(kernel, edges[i] - (edges[i] < 5000 ? edges[i] : 5000), 12000);
    compare(kernel, UINT64_MAX - 11999, 12000);
    for (int i = 0; i < 100; i++)
        compare(kernel, random_u64() >> 1, 1 + random_u64() % 3000);
}

/* One after the other, each search's entropy the best hash of the one before: a million nonces, one last hash. */
static void chain_of_searches(const struct keccak_kernel *kernel, uint8_t hash[32])
{
    const uint8_t farmer[32] = {1};
    uint64_t message[KECCAK_LANES];
    struct keccak_search search;
    memset(hash, 0, 32);
    for (uint32_t i = 0; i < STATES / 10000; i++) {
        keccak_message(message, i, hash, farmer);
        keccak_search_begin(&search, kernel, message);
        keccak_search_range(&search, i * 10007u, i * 10007u + 9999);
        memcpy(hash, search.best.hash, 32);
    }
}

/* Known answers */

static void search_nothing(const uint64_t message[KECCAK_LANES], uint64_t first, unsigned bits, struct keccak_sink *sink)
{
    (void)message, (void)first, (void)bits, (void)sink;
}

static void search_all_but_one_lane(const uint64_t message[KECCAK_LANES], uint64_t first, unsigned bits,
                                    struct keccak_sink *sink)
{
    uint8_t hash[32];
    for (uint64_t i = 0; i < (uint64_t)KECCAK_GROUP << bits; i++) {
        keccak_hash(message, first + i, hash);
        if (i % 8 != 5 && (keccak_zeros_mask(16) & sink->mask & ~keccak_zeros_mask(keccak_zeros(hash))) == 0)
            sink->reported(sink, first + i);
    }
}

static void search_finding_everywhere(const uint64_t message[KECCAK_LANES], uint64_t first, unsigned bits,
                                      struct keccak_sink *sink)
{
    (void)message;
    for (uint64_t i = 0; i < (uint64_t)KECCAK_GROUP << bits; i++)
        sink->reported(sink, first + i);
}

/* Report as a kernel must, but for one fault: bits of the word flipped, of the nonce ignored, or nonces left out. */
static void search_with_fault(const uint64_t message[KECCAK_LANES], uint64_t first, unsigned bits,
                              struct keccak_sink *sink, uint64_t flipped, uint64_t nonce_bits, uint64_t skipped)
{
    uint8_t hash[32];
    for (uint64_t i = 0; i < ((uint64_t)KECCAK_GROUP << bits) - skipped; i++) {
        uint64_t word = 0;
        keccak_hash(message, (first + i) & nonce_bits, hash);
        for (unsigned byte = 0; byte < 8; byte++)
            word |= (uint64_t)hash[byte] << (8 * byte);
        if (((word ^ flipped) & sink->mask) == 0)
            sink->reported(sink, first + i);
    }
}

static void search_with_one_bit_wrong(const uint64_t message[KECCAK_LANES], uint64_t first, unsigned bits,
                                      struct keccak_sink *sink)
{
    /* As by a wrong last round constant: in a bit that no test of fewer than 15 zeros looks at. */
    search_with_fault(message, first, bits, sink, (uint64_t)1 << 63, UINT64_MAX, 0);
}

static void search_without_the_highest_byte(const uint64_t message[KECCAK_LANES], uint64_t first, unsigned bits,
                                            struct keccak_sink *sink)
{
    search_with_fault(message, first, bits, sink, 0, UINT64_MAX >> 8, 0);
}

static void search_without_the_last_group(const uint64_t message[KECCAK_LANES], uint64_t first, unsigned bits,
                                          struct keccak_sink *sink)
{
    search_with_fault(message, first, bits, sink, 0, UINT64_MAX, bits == KECCAK_STEP_BITS_MAX ? KECCAK_GROUP : 0);
}

static void search_without_fault(const uint64_t message[KECCAK_LANES], uint64_t first, unsigned bits,
                                 struct keccak_sink *sink)
{
    search_with_fault(message, first, bits, sink, 0, UINT64_MAX, 0);
}

static void test_a_kernel_that_is_wrong_in_one_place_fails_its_known_answers(void)
{
    struct keccak_kernel kernel = keccak_kernel_portable;
    kernel.search = search_without_fault;
    CHECK(keccak_self_test(&kernel));
    kernel.search = search_with_one_bit_wrong;
    CHECK(!keccak_self_test(&kernel));
    kernel.search = search_without_the_highest_byte;
    CHECK(!keccak_self_test(&kernel));
    kernel.search = search_without_the_last_group;
    CHECK(!keccak_self_test(&kernel));
}

static void test_a_wrong_kernel_fails_its_known_answers(void)
{
    struct keccak_kernel wrong = keccak_kernel_portable;
    CHECK(keccak_self_test(&wrong));
    wrong.search = search_nothing;
    CHECK(!keccak_self_test(&wrong));
    wrong.search = search_all_but_one_lane;
    CHECK(!keccak_self_test(&wrong));
    wrong.search = search_finding_everywhere;
    CHECK(!keccak_self_test(&wrong));
}

static void test_reports_that_do_not_hold_are_counted(void)
{
    struct keccak_kernel wrong = keccak_kernel_portable;
    uint64_t message[KECCAK_LANES] = {0};
    struct keccak_search search;
    wrong.search = search_finding_everywhere;
    keccak_search_begin(&search, &wrong, message);
    keccak_search_range(&search, 0, 9999);
    CHECK(search.refuted > 0);
    CHECK(search.best.zeros == brute_force(message, 0, 9999).zeros);
}

/* Dispatch */

static void test_the_fastest_kernel_of_every_subset_of_features_needs_no_more(void)
{
    for (unsigned features = 0; features < 16; features++) {
        const struct keccak_kernel *chosen = keccak_fastest_kernel(features);
        CHECK((chosen->needs & ~features) == 0);
        for (size_t i = 0; keccak_kernels[i]; i++)
            if ((keccak_kernels[i]->needs & ~features) == 0)
                CHECK(keccak_kernels[i]->lanes <= chosen->lanes);
        /* Not only chosen but right, as far as this CPU can show it. */
        if (runs(chosen)) {
            compare(chosen, 8190, 9000);
        }
    }
    CHECK(keccak_fastest_kernel(0) == &keccak_kernel_portable);
}

#if defined(__x86_64__)
static void test_a_feature_counts_only_when_the_system_saves_its_registers(void)
{
    const uint32_t osxsave = 1u << 27, avx2 = 1u << 5, avx512f = 1u << 16;
    CHECK(keccak_features_of(0, 0, 0) == 0);
    CHECK(keccak_features_of(0, avx2 | avx512f, 0xe7) == 0);
    CHECK(keccak_features_of(osxsave, avx2 | avx512f, 0) == 0);
    CHECK(keccak_features_of(osxsave, avx2 | avx512f, 0x3) == 0);
    CHECK(keccak_features_of(osxsave, avx2 | avx512f, 0x7) == KECCAK_CPU_AVX2);
    CHECK(keccak_features_of(osxsave, avx2 | avx512f, 0x67) == KECCAK_CPU_AVX2);
    CHECK(keccak_features_of(osxsave, avx2, 0xe7) == KECCAK_CPU_AVX2);
    CHECK(keccak_features_of(osxsave, avx2 | avx512f, 0xe7) == (KECCAK_CPU_AVX2 | KECCAK_CPU_AVX512));
    CHECK(keccak_fastest_kernel(KECCAK_CPU_AVX2) == &keccak_kernel_avx2);
    CHECK(keccak_fastest_kernel(KECCAK_CPU_AVX2 | KECCAK_CPU_AVX512) == &keccak_kernel_avx512);
}
#endif

int main(void)
{
    uint8_t expected[32], found[32];

    test_the_reference_hashes_as_the_textbook();
    test_zeros_and_their_masks_agree();
    test_a_wrong_kernel_fails_its_known_answers();
    test_a_kernel_that_is_wrong_in_one_place_fails_its_known_answers();
    test_reports_that_do_not_hold_are_counted();
    test_the_fastest_kernel_of_every_subset_of_features_needs_no_more();
#if defined(__x86_64__)
    test_a_feature_counts_only_when_the_system_saves_its_registers();
#endif
    const uint64_t digest = digest_by_textbook();
    chain_of_searches(&keccak_kernel_portable, expected);
    printf("chain of %u states: %016" PRIx64 "\n", STATES, digest);
    for (size_t i = 0; keccak_kernels[i]; i++) {
        const struct keccak_kernel *kernel = keccak_kernels[i];
        if (!runs(kernel)) {
            printf("SKIPPED kernel %s: this CPU or system does not run it\n", kernel->name);
            continue;
        }
        random_state = 1;
        CHECK(keccak_self_test(kernel));
        test_a_chain_of_a_million_states_gives_one_digest(kernel, digest);
        test_searches_find_what_brute_force_finds(kernel);
        chain_of_searches(kernel, found);
        CHECK(memcmp(found, expected, sizeof found) == 0);
        printf("kernel %s: %s\n", kernel->name, failures ? "FAILED" : "ok");
    }
    return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
