/* What a kernel must answer before it may mine: a fast wrong one would burn time, and look busy. */
#include <string.h>

#include "keccak_search.h"

/* Block 37, published by the author of the KALE contract in its README. */
static const uint32_t known_index = 37;
static const uint64_t known_nonce = 20495217910u;
static const uint8_t known_entropy[32] = {0x00, 0x00, 0x00, 0x00, 0x09, 0xfa, 0xeb, 0x2f, 0xf8, 0xdc, 0x93,
                                          0xfb, 0x33, 0x4d, 0xab, 0xc1, 0x39, 0x8e, 0x35, 0x9a, 0x16, 0x3a,
                                          0x6b, 0xb5, 0x38, 0xf6, 0x33, 0xfd, 0xb9, 0xb3, 0x27, 0xca};
static const uint8_t known_farmer[32] = {0x60, 0x79, 0xc3, 0xed, 0x9c, 0x94, 0x7a, 0xce, 0x55, 0x67, 0x88,
                                         0x7a, 0x3b, 0x73, 0xa7, 0x1f, 0xc0, 0xab, 0x53, 0x00, 0x10, 0x8d,
                                         0x76, 0xba, 0x9c, 0xf5, 0x0f, 0x3a, 0xd7, 0xa2, 0x6c, 0x45};
static const uint8_t known_hash[32] = {0x00, 0x00, 0x00, 0x00, 0x99, 0xbe, 0x00, 0x37, 0xe5, 0xa4, 0x83,
                                       0x24, 0x95, 0x9c, 0xb9, 0xdd, 0x10, 0x96, 0x5a, 0xe5, 0x95, 0x11,
                                       0xcf, 0xd1, 0x99, 0x6f, 0x9b, 0x91, 0x7a, 0xad, 0x99, 0x80};

/* Everything a block reports, as a count and a sum that depends on each nonce but not on their order. */
struct tally {
    struct keccak_sink sink;
    uint64_t count, sum;
};

static void add(struct keccak_sink *sink, uint64_t nonce)
{
    struct tally *tally = (struct tally *)sink;
    tally->count++;
    tally->sum += (nonce ^ nonce >> 29) * 0x9e3779b97f4a7c15u;
}

/* Does the kernel report exactly the nonces of this block whose first word has no bit of `mask`? */
static bool same_reports(const struct keccak_kernel *kernel, const uint64_t message[KECCAK_LANES], uint64_t first,
                         unsigned bits, uint64_t mask)
{
    struct tally expected = {.sink = {.mask = mask, .reported = add}};
    struct tally found = expected;
    const uint64_t count = (uint64_t)KECCAK_GROUP << bits;
    uint8_t hash[32];

    for (uint64_t i = 0; i < count; i++) {
        uint64_t word = 0;
        keccak_hash(message, first + i, hash);
        for (unsigned byte = 0; byte < 8; byte++)
            word |= (uint64_t)hash[byte] << (8 * byte);
        if ((word & mask) == 0)
            add(&expected.sink, first + i);
    }
    kernel->search(message, first, bits, &found.sink);
    return expected.count == found.count && expected.sum == found.sum;
}

bool keccak_self_test(const struct keccak_kernel *kernel)
{
    struct keccak_search search;
    uint64_t message[KECCAK_LANES];
    uint8_t hash[32];

    keccak_message(message, known_index, known_entropy, known_farmer);
    keccak_hash(message, known_nonce, hash);
    if (memcmp(hash, known_hash, sizeof hash) != 0)
        return false; /* the reference itself: nothing else would mean anything */

    keccak_search_begin(&search, kernel, message);
    keccak_search_range(&search, known_nonce - 4000, known_nonce + 4000);
    if (search.refuted || search.best.zeros != 8 || search.best.nonce != known_nonce ||
        memcmp(search.best.hash, known_hash, sizeof hash) != 0)
        return false;

    /* Blocks of every size, just below 2^32 and far above: every nonce once, and those that begin with two zeros. */
    const uint64_t high = 0xfedcba9876540000u;
    for (unsigned bits = 0; bits <= KECCAK_STEP_BITS_MAX; bits++) {
        const uint64_t size = (uint64_t)KECCAK_GROUP << bits;
        const uint64_t first = bits % 2 ? ((uint64_t)1 << 32) - size : high;
        if (!same_reports(kernel, message, first, bits, 0) ||
            !same_reports(kernel, message, first, bits, keccak_zeros_mask(2)))
            return false;
    }
    /* Every bit of the word tells, though the first digits alone are asked for: a wrong one would lose good hashes. */
    for (unsigned digit = 0; digit < 16; digit++)
        if (!same_reports(kernel, message, high, 7, (uint64_t)0xf << (4 * digit)))
            return false;
    return true;
}
