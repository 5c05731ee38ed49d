/* Four lanes with AVX2: a rotation is two shifts and an or, but a byte shuffle where it is whole bytes. */
#if defined(__x86_64__)
#include <immintrin.h>

/* 16 registers for 25 lanes: what GCC's allocator is spared here is worth 3 % (docs/HASH_ENGINE.md). */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("live-range-shrinkage", "no-schedule-insns2")
#endif

#define V __m256i
#define V_LANES 4
#define V_TARGET __attribute__((target("avx2")))
#define V_NAME(x) avx2_##x
#define V_LOAD(p) _mm256_loadu_si256((const __m256i *)(p))
#define V_STORE(p, v) _mm256_storeu_si256((__m256i *)(p), (v))
#define V_SET1(u) _mm256_set1_epi64x((long long)(u))
#define V_XOR(a, b) _mm256_xor_si256((a), (b))
#define V_THETA_BY_SUM
#define V_XOR5(a, b, c, d, e) V_XOR(V_XOR(V_XOR((a), (b)), V_XOR((c), (d))), (e))
#define V_ROL(a, n) avx2_rol((a), (n))
#define V_CHI(a, b, c) V_XOR((a), _mm256_andnot_si256((b), (c)))
#define V_CLEAR(v, mask)                                                                                               \
    ((unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(                                                                 \
        _mm256_cmpeq_epi64(_mm256_and_si256((v), V_SET1(mask)), _mm256_setzero_si256()))))

static inline __attribute__((always_inline, target("avx2"))) V avx2_rol(V a, int n)
{
    if (n == 1)
        return V_XOR(_mm256_add_epi64(a, a), _mm256_srli_epi64(a, 63));
    if (n == 8)
        return _mm256_shuffle_epi8(a, _mm256_setr_epi8(7, 0, 1, 2, 3, 4, 5, 6, 15, 8, 9, 10, 11, 12, 13, 14,
                                                       7, 0, 1, 2, 3, 4, 5, 6, 15, 8, 9, 10, 11, 12, 13, 14));
    if (n == 56)
        return _mm256_shuffle_epi8(a, _mm256_setr_epi8(1, 2, 3, 4, 5, 6, 7, 0, 9, 10, 11, 12, 13, 14, 15, 8,
                                                       1, 2, 3, 4, 5, 6, 7, 0, 9, 10, 11, 12, 13, 14, 15, 8));
    return V_XOR(_mm256_slli_epi64(a, n), _mm256_srli_epi64(a, 64 - n));
}

#include "keccak_lanes.h"

const struct keccak_kernel keccak_kernel_avx2 = {
    .name = "avx2", .lanes = V_LANES, .needs = KECCAK_CPU_AVX2, .search = avx2_search, .permute = avx2_permute};
#else
typedef int keccak_avx2_not_built;
#endif
