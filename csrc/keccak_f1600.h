/* Private to csrc/: what the kernels owe the search, and the constants they share.
 *
 * The state is 25 lanes of 64 bits, lane x + 5 * y, little-endian in the message. Of the 76 bytes hashed
 *   lane 0 holds the block index and the high half of the nonce,
 *   lane 1 holds the low half of the nonce (big-endian, so byte-reversed, in its low 32 bits) and entropy,
 *   lanes 2 to 9 hold the rest and the first padding bit, lane 16 the last padding bit.
 */
#ifndef KECCAK_F1600_H
#define KECCAK_F1600_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KECCAK_LANES 25
#define KECCAK_ROUNDS 24

/* Nonces that share all but their 3 low bits; a kernel of 8 lanes hashes such a group at once. */
#define KECCAK_GROUP 8u
#define KECCAK_GROUP_BITS 3u

/* The low half of the nonce takes part in products of the first round only as (bit j) x (bit j + 5) and
 * (bit j) x (bit j + 18) of lane 1. Nonce bits 3..12 are the lane's bits 27..31 and 16..20: no two of them
 * meet, so with the other bits fixed the state up to the second chi is affine in them. Bit 13 would end that. */
#define KECCAK_STEP_BITS_MAX 10u

/* What a kernel reports to. `reported` gets the nonce of every hash whose first word has no bit of `mask` set
 * and may change `mask`, which the kernel reads again after each report. */
struct keccak_sink {
    uint64_t mask;
    void (*reported)(struct keccak_sink *sink, uint64_t nonce);
};

/* Hash the (KECCAK_GROUP << step_bits) nonces that begin at `first`, which must be a multiple of that number;
 * step_bits <= KECCAK_STEP_BITS_MAX. `message` holds the 25 lanes of the padded block; its nonce is ignored.
 * The order of reports within a call is not the order of nonces. Allocates nothing, keeps nothing. */
typedef void keccak_search_fn(const uint64_t message[KECCAK_LANES], uint64_t first, unsigned step_bits,
                              struct keccak_sink *sink);

/* Apply Keccak-f[1600] to `lanes` states; lane i of state s stands at states[i * lanes + s]. */
typedef void keccak_permute_fn(uint64_t *states);

/* CPU features that a kernel may need; what the CPU has *and* the operating system saves. */
enum {
    KECCAK_CPU_AVX2 = 1u << 0,
    KECCAK_CPU_AVX512 = 1u << 1,
    KECCAK_CPU_NEON = 1u << 2,
    KECCAK_CPU_SHA3 = 1u << 3,
};

struct keccak_kernel {
    const char *name;
    unsigned lanes;
    unsigned needs; /* KECCAK_CPU_... */
    keccak_search_fn *search;
    keccak_permute_fn *permute;
};

extern const struct keccak_kernel keccak_kernel_portable;
#if defined(__x86_64__)
extern const struct keccak_kernel keccak_kernel_avx2;
extern const struct keccak_kernel keccak_kernel_avx512;
#elif defined(__aarch64__)
extern const struct keccak_kernel keccak_kernel_neon;
extern const struct keccak_kernel keccak_kernel_neon_sha3;
#endif

/* Kernels compiled in, slowest first; ends with NULL. */
extern const struct keccak_kernel *const keccak_kernels[];

/* What this CPU and system can do, asked once. */
unsigned keccak_cpu_features(void);

/* The fastest kernel that needs nothing but `features`. Never NULL: portable needs nothing. */
const struct keccak_kernel *keccak_fastest_kernel(unsigned features);

/* Kernel by name, or NULL where none of that name was compiled in. */
const struct keccak_kernel *keccak_kernel_named(const char *name);

#if defined(__x86_64__)
/* Features from the registers that tell: CPUID leaf 1 ECX, leaf 7 EBX, XCR0 (0 where OSXSAVE is clear). */
unsigned keccak_features_of(uint32_t leaf1_ecx, uint32_t leaf7_ebx, uint64_t xcr0);
#endif

/* The reference: lay out the padded block, hash it whole, count leading hexadecimal zeros. */
void keccak_message(uint64_t message[KECCAK_LANES], uint32_t index, const uint8_t entropy[32],
                    const uint8_t farmer[32]);
void keccak_hash(const uint64_t message[KECCAK_LANES], uint64_t nonce, uint8_t digest[32]);
unsigned keccak_zeros(const uint8_t digest[32]);

/* The bits of the first little-endian word that must be clear for `zeros` leading hexadecimal zeros, 0 to 16. */
uint64_t keccak_zeros_mask(unsigned zeros);

static inline uint64_t keccak_high_lane(uint64_t lane0, uint64_t nonce)
{
    return (lane0 & 0xffffffffu) | ((uint64_t)__builtin_bswap32((uint32_t)(nonce >> 32)) << 32);
}

static inline uint64_t keccak_low_lane(uint64_t lane1, uint64_t nonce)
{
    return (lane1 & ~(uint64_t)0xffffffffu) | __builtin_bswap32((uint32_t)nonce);
}

#endif
