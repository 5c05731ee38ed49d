/* Two lanes with AArch64's NEON; and again with the SHA-3 instructions (FEAT_SHA3), which were made for this:
 * three-input xor, rotate by one and xor, xor and rotate, and chi itself. */
#if defined(__aarch64__)
#include <arm_neon.h>

#include "keccak_f1600.h"

#if defined(NEON_SHA3)
#define V_TARGET __attribute__((target("arch=armv8.2-a+sha3")))
#define V_NAME(x) neon_sha3_##x
#define V_XOR5(a, b, c, d, e) veor3q_u64(veor3q_u64((a), (b), (c)), (d), (e))
#define V_XOR_ROL1(a, b) vrax1q_u64((a), (b))
#define V_XOR_ROL(a, b, n) vxarq_u64((a), (b), 64 - (n))
#define V_CHI(a, b, c) vbcaxq_u64((a), (c), (b))
#else
#define V_TARGET
#define V_NAME(x) neon_##x
#define V_XOR5(a, b, c, d, e) V_XOR(V_XOR(V_XOR((a), (b)), V_XOR((c), (d))), (e))
#define V_CHI(a, b, c) V_XOR((a), vbicq_u64((c), (b)))
#endif

#define V uint64x2_t
#define V_THETA_BY_SUM
#define V_LANES 2
#define V_LOAD(p) vld1q_u64(p)
#define V_STORE(p, v) vst1q_u64((p), (v))
#define V_SET1(u) vdupq_n_u64(u)
#define V_XOR(a, b) veorq_u64((a), (b))
#define V_ROL(a, n) vsriq_n_u64(vshlq_n_u64((a), (n)), (a), 64 - (n))
#define V_CLEAR(v, mask) V_NAME(clear)((v), (mask))

static inline __attribute__((always_inline)) V_TARGET unsigned V_NAME(clear)(V v, uint64_t mask)
{
    const V masked = vandq_u64(v, V_SET1(mask));
    return (unsigned)(vgetq_lane_u64(masked, 0) == 0) | (unsigned)(vgetq_lane_u64(masked, 1) == 0) << 1;
}

#include "keccak_lanes.h"

#if defined(NEON_SHA3)
const struct keccak_kernel keccak_kernel_neon_sha3 = {.name = "neon-sha3",
                                                      .lanes = V_LANES,
                                                      .needs = KECCAK_CPU_NEON | KECCAK_CPU_SHA3,
                                                      .search = neon_sha3_search,
                                                      .permute = neon_sha3_permute};
#else
const struct keccak_kernel keccak_kernel_neon = {.name = "neon",
                                                 .lanes = V_LANES,
                                                 .needs = KECCAK_CPU_NEON,
                                                 .search = neon_search,
                                                 .permute = neon_permute};
#endif
#else
typedef int keccak_neon_not_built; /* ISO C wants something in every file */
#endif
