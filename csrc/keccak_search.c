#include <string.h>

#include "keccak_search.h"

/* A kernel only nominates; the portable reference hashes the candidate whole and decides. */
static void judge(struct keccak_sink *sink, uint64_t nonce)
{
    struct keccak_search *search = (struct keccak_search *)sink;
    struct keccak_best *best = &search->best;
    uint8_t hash[32];

    if (nonce < search->first || nonce > search->last)
        return; /* the kernel hashes whole groups; these belong to a neighbouring range */
    keccak_hash(search->message, nonce, hash);
    const int zeros = (int)keccak_zeros(hash);
    if (search->asked & ~keccak_zeros_mask((unsigned)zeros)) {
        search->refuted++;
        return;
    }
    /* Within a block nonces come in Gray-code order, so an equal from the same block may be the lower one. */
    if (zeros > best->zeros || (zeros == best->zeros && best->nonce >= search->block_first && nonce < best->nonce)) {
        best->zeros = zeros;
        best->nonce = nonce;
        memcpy(best->hash, hash, sizeof hash);
        sink->mask = keccak_zeros_mask((unsigned)zeros);
    }
}

void keccak_search_begin(struct keccak_search *search, const struct keccak_kernel *kernel,
                         const uint64_t message[KECCAK_LANES])
{
    memset(search, 0, sizeof *search);
    search->sink.reported = judge;
    search->kernel = kernel;
    search->best.zeros = -1;
    memcpy(search->message, message, sizeof search->message);
}

void keccak_search_range(struct keccak_search *search, uint64_t first, uint64_t last)
{
    /* In groups, because the end of the u64 range has no successor to compare with. */
    uint64_t group = first >> KECCAK_GROUP_BITS;
    const uint64_t end = (last >> KECCAK_GROUP_BITS) + 1;

    search->first = first;
    search->last = last;
    while (group < end) {
        /* The largest aligned block that begins here and does not reach beyond the last group. */
        unsigned bits = 0;
        while (bits < KECCAK_STEP_BITS_MAX && (group >> bits & 1) == 0 && (end - group) >> (bits + 1))
            bits++;
        search->block_first = group << KECCAK_GROUP_BITS;
        search->asked = search->sink.mask = keccak_zeros_mask((unsigned)(search->best.zeros + 1));
        search->kernel->search(search->message, search->block_first, bits, &search->sink);
        group += (uint64_t)1 << bits;
    }
}
