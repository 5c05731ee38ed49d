/* Private to csrc/: one thread's search of a range of nonces, over any kernel. */
#ifndef KECCAK_SEARCH_H
#define KECCAK_SEARCH_H

#include "keccak_f1600.h"

/* The best hash known: `zeros` is -1 while there is none, and then nonce and hash mean nothing. */
struct keccak_best {
    int zeros;
    uint64_t nonce;
    uint8_t hash[32];
};

struct keccak_search {
    struct keccak_sink sink; /* first: the kernel's reports find their search by it */
    const struct keccak_kernel *kernel;
    uint64_t message[KECCAK_LANES];
    struct keccak_best best;
    uint64_t first, last;  /* both hashed; reports from outside are none of ours */
    uint64_t block_first;  /* where the kernel's present block begins */
    uint64_t asked;        /* mask when that block was begun: no report may fall short of it */
    uint64_t refuted;      /* reports that the reference contradicts: above 0, the kernel is broken */
};

void keccak_search_begin(struct keccak_search *search, const struct keccak_kernel *kernel,
                         const uint64_t message[KECCAK_LANES]);

/* Hash every nonce from `first` to `last`, both included, once. `best` changes only for more zeros than it had;
 * among nonces of this call with the same zeros the lowest is kept. */
void keccak_search_range(struct keccak_search *search, uint64_t first, uint64_t last);

/* Known answers: the example that the contract's author published, found by search among its neighbours, and
 * exactly the reports of the reference for blocks of every size and every bit of the word that is looked at. Takes
 * some 50 ms. */
bool keccak_self_test(const struct keccak_kernel *kernel);

#endif
