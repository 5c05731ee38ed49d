/* Eight lanes with AVX-512F: rotation (vprolq) and any three-input logic (vpternlogq) are one instruction each. */
#if defined(__x86_64__)
#include <immintrin.h>

#define V __m512i
#define V_LANES 8
#define V_TARGET __attribute__((target("avx512f")))
#define V_NAME(x) avx512_##x
#define V_LOAD(p) _mm512_loadu_si512(p)
#define V_STORE(p, v) _mm512_storeu_si512((p), (v))
#define V_SET1(u) _mm512_set1_epi64((long long)(u))
#define V_XOR(a, b) _mm512_xor_si512((a), (b))
#define V_THETA(a, l, r) _mm512_ternarylogic_epi64((a), (l), (r), 0x96)
#define V_XOR5(a, b, c, d, e) V_THETA(V_THETA((a), (b), (c)), (d), (e))
#define V_ROL(a, n) _mm512_rol_epi64((a), (n))
#define V_CHI(a, b, c) _mm512_ternarylogic_epi64((a), (b), (c), 0xd2)
#define V_CLEAR(v, mask) _mm512_testn_epi64_mask((v), V_SET1(mask))

#include "keccak_lanes.h"

const struct keccak_kernel keccak_kernel_avx512 = {
    .name = "avx512", .lanes = V_LANES, .needs = KECCAK_CPU_AVX512, .search = avx512_search, .permute = avx512_permute};
#else
typedef int keccak_avx512_not_built;
#endif
