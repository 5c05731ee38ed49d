/* The permutation and the search, written once over a vector of lanes. Each kernel file defines, then includes:
 *
 *   V, V_LANES              the vector and how many states it holds side by side
 *   V_TARGET                function attribute that turns the instruction set on, or nothing
 *   V_NAME(x)               x with the kernel's prefix
 *   V_LOAD(p) V_STORE(p, v) V_SET1(u64)
 *   V_XOR(a, b) V_XOR5(a, b, c, d, e) V_ROL(a, n) V_CHI(a, b, c) = a ^ (~b & c)
 *   V_CLEAR(v, mask)        one bit a lane, set where lane & mask is 0
 *   V_THETA(a, l, r)        a ^ l ^ r, where that is one operation; else
 *   V_THETA_BY_SUM          what theta adds is formed once a column, by
 *   V_XOR_ROL1(a, b)        a ^ rol(b, 1), and added by
 *   V_XOR_ROL(a, b, n)      rol(a ^ b, n): both have instructions of their own on some ARM CPUs
 *   V_COMPLEMENTED          optional: lanes 1, 2, 8, 12, 17, 20 are kept complemented; then V_CHI_FIRST and
 *                           the functions chi0 .. chi4 of the five planes come from the kernel
 *
 * States live in local arrays with constant indices, which the compiler turns into registers; rounds are unrolled,
 * so that pi costs nothing. A plane is taken from theta to chi before the next is begun: that order, and not the
 * textbook's step by step, is what keeps spills down on 16 registers. Operations a round where three-input logic
 * is one: 10 (parity) + 5 + 25 (theta) + 24 (rho) + 25 (chi) + 1 (iota) = 90.
 */
#include "keccak_f1600.h"

#define V_INLINE static inline __attribute__((always_inline)) V_TARGET

#ifndef V_XOR_ROL1
#define V_XOR_ROL1(a, b) V_XOR((a), V_ROL((b), 1))
#endif
#ifndef V_XOR_ROL
#define V_XOR_ROL(a, b, n) V_ROL(V_XOR((a), (b)), (n))
#endif

/* Here and not shared: a compiler folds them into the unrolled rounds only where it sees them. */
static const uint64_t V_NAME(constants)[KECCAK_ROUNDS] = {
    0x0000000000000001u, 0x0000000000008082u, 0x800000000000808au, 0x8000000080008000u, 0x000000000000808bu,
    0x0000000080000001u, 0x8000000080008081u, 0x8000000000008009u, 0x000000000000008au, 0x0000000000000088u,
    0x0000000080008009u, 0x000000008000000au, 0x000000008000808bu, 0x800000000000008bu, 0x8000000000008089u,
    0x8000000000008003u, 0x8000000000008002u, 0x8000000000000080u, 0x000000000000800au, 0x800000008000000au,
    0x8000000080008081u, 0x8000000000008080u, 0x0000000080000001u, 0x8000000080008008u,
};

/* What theta adds to the columns: the parities c, and either r, the same rotated by one, or their sums d. */
struct V_NAME(theta) {
    V c0, c1, c2, c3, c4;
#ifdef V_THETA_BY_SUM
    V d0, d1, d2, d3, d4;
#else
    V r0, r1, r2, r3, r4;
#endif
};

V_INLINE struct V_NAME(theta) V_NAME(theta_of)(const V a[KECCAK_LANES])
{
    struct V_NAME(theta) t;
    t.c0 = V_XOR5(a[0], a[5], a[10], a[15], a[20]);
    t.c1 = V_XOR5(a[1], a[6], a[11], a[16], a[21]);
    t.c2 = V_XOR5(a[2], a[7], a[12], a[17], a[22]);
    t.c3 = V_XOR5(a[3], a[8], a[13], a[18], a[23]);
    t.c4 = V_XOR5(a[4], a[9], a[14], a[19], a[24]);
#ifdef V_THETA_BY_SUM
    t.d0 = V_XOR_ROL1(t.c4, t.c1);
    t.d1 = V_XOR_ROL1(t.c0, t.c2);
    t.d2 = V_XOR_ROL1(t.c1, t.c3);
    t.d3 = V_XOR_ROL1(t.c2, t.c4);
    t.d4 = V_XOR_ROL1(t.c3, t.c0);
#else
    t.r0 = V_ROL(t.c0, 1);
    t.r1 = V_ROL(t.c1, 1);
    t.r2 = V_ROL(t.c2, 1);
    t.r3 = V_ROL(t.c3, 1);
    t.r4 = V_ROL(t.c4, 1);
#endif
    return t;
}

/* Theta of the only lane that rho leaves alone; theta and rho of the others, by column. */
#ifdef V_THETA_BY_SUM
#define THETA0(i) V_XOR(a[i], t.d0)
#define MOVE(x, before, after, i, n) V_XOR_ROL(a[i], t.d##x, n)
#else
#define THETA0(i) V_THETA(a[i], t.c4, t.r1)
#define MOVE(x, before, after, i, n) V_ROL(V_THETA(a[i], t.c##before, t.r##after), n)
#endif
#define MOVE0(i, n) MOVE(0, 4, 1, i, n)
#define MOVE1(i, n) MOVE(1, 0, 2, i, n)
#define MOVE2(i, n) MOVE(2, 1, 3, i, n)
#define MOVE3(i, n) MOVE(3, 2, 4, i, n)
#define MOVE4(i, n) MOVE(4, 3, 0, i, n)

/* The five planes after theta, rho and pi, each as a list of its lanes. */
#define PLANE0 THETA0(0), MOVE1(6, 44), MOVE2(12, 43), MOVE3(18, 21), MOVE4(24, 14)
#define PLANE1                                                                                                         \
    MOVE3(3, 28), MOVE4(9, 20), MOVE0(10, 3), MOVE1(16, 45), MOVE2(22, 61)
#define PLANE2                                                                                                         \
    MOVE1(1, 1), MOVE2(7, 6), MOVE3(13, 25), MOVE4(19, 8), MOVE0(20, 18)
#define PLANE3                                                                                                         \
    MOVE4(4, 27), MOVE0(5, 36), MOVE1(11, 10), MOVE2(17, 15), MOVE3(23, 56)
#define PLANE4                                                                                                         \
    MOVE2(2, 62), MOVE3(8, 55), MOVE4(14, 39), MOVE0(15, 41), MOVE1(21, 2)

#ifndef V_COMPLEMENTED
#define V_CHI_FIRST V_CHI
V_INLINE void V_NAME(chi)(V to[5], V b0, V b1, V b2, V b3, V b4)
{
    to[0] = V_CHI(b0, b1, b2);
    to[1] = V_CHI(b1, b2, b3);
    to[2] = V_CHI(b2, b3, b4);
    to[3] = V_CHI(b3, b4, b0);
    to[4] = V_CHI(b4, b0, b1);
}
#define CHI(y) V_NAME(chi)
#else
#define CHI(y) V_NAME(chi##y)
#endif

V_INLINE void V_NAME(complement)(V a[KECCAK_LANES])
{
#ifdef V_COMPLEMENTED
    a[1] = ~a[1];
    a[2] = ~a[2];
    a[8] = ~a[8];
    a[12] = ~a[12];
    a[17] = ~a[17];
    a[20] = ~a[20];
#else
    (void)a;
#endif
}

V_INLINE void V_NAME(put)(V to[5], V b0, V b1, V b2, V b3, V b4)
{
    to[0] = b0;
    to[1] = b1;
    to[2] = b2;
    to[3] = b3;
    to[4] = b4;
}

/* theta, rho and pi: what chi is given. `to` must not be `a`. */
V_INLINE void V_NAME(linear)(V to[KECCAK_LANES], const V a[KECCAK_LANES])
{
    const struct V_NAME(theta) t = V_NAME(theta_of)(a);
    V_NAME(put)(to, PLANE0);
    V_NAME(put)(to + 5, PLANE1);
    V_NAME(put)(to + 10, PLANE2);
    V_NAME(put)(to + 15, PLANE3);
    V_NAME(put)(to + 20, PLANE4);
}

/* One whole round. `to` must not be `a`. */
V_INLINE void V_NAME(round)(V to[KECCAK_LANES], const V a[KECCAK_LANES], uint64_t constant)
{
    const struct V_NAME(theta) t = V_NAME(theta_of)(a);
    CHI(0)(to, PLANE0);
    to[0] = V_XOR(to[0], V_SET1(constant));
    CHI(1)(to + 5, PLANE1);
    CHI(2)(to + 10, PLANE2);
    CHI(3)(to + 15, PLANE3);
    CHI(4)(to + 20, PLANE4);
}

/* Of the last round only lane 0: the parities, but three lanes of theta, two rotations of rho and one lane of chi. */
V_INLINE V V_NAME(last_word)(const V a[KECCAK_LANES])
{
    const struct V_NAME(theta) t = V_NAME(theta_of)(a);
    const V word = V_CHI_FIRST(THETA0(0), MOVE1(6, 44), MOVE2(12, 43));
    return V_XOR(word, V_SET1(V_NAME(constants)[KECCAK_ROUNDS - 1]));
}

V_TARGET static void V_NAME(permute)(uint64_t *states)
{
    V a[KECCAK_LANES], b[KECCAK_LANES];
    for (int i = 0; i < KECCAK_LANES; i++)
        a[i] = V_LOAD(states + i * V_LANES);
    V_NAME(complement)(a);
    for (int r = 0; r < KECCAK_ROUNDS; r += 2) {
        V_NAME(round)(b, a, V_NAME(constants)[r]);
        V_NAME(round)(a, b, V_NAME(constants)[r + 1]);
    }
    V_NAME(complement)(a);
    for (int i = 0; i < KECCAK_LANES; i++)
        V_STORE(states + i * V_LANES, a[i]);
}

/* The state that the second chi is given, for the V_LANES nonces from `nonce` on. */
V_TARGET static void V_NAME(before_second_chi)(const uint64_t message[KECCAK_LANES], uint64_t nonce, uint64_t *out)
{
    uint64_t low[V_LANES];
    V a[KECCAK_LANES], b[KECCAK_LANES];
    for (unsigned lane = 0; lane < V_LANES; lane++)
        low[lane] = keccak_low_lane(message[1], nonce + lane);
    for (int i = 0; i < KECCAK_LANES; i++)
        a[i] = V_SET1(message[i]);
    a[0] = V_SET1(keccak_high_lane(message[0], nonce));
    a[1] = V_LOAD(low);
    V_NAME(complement)(a);
    V_NAME(round)(b, a, V_NAME(constants)[0]);
    V_NAME(linear)(a, b);
    for (int i = 0; i < KECCAK_LANES; i++)
        V_STORE(out + i * V_LANES, a[i]);
}

/* Out of line: a hit is rare, and the loop keeps its registers to itself. */
static __attribute__((noinline)) void V_NAME(report)(struct keccak_sink *sink, uint64_t first, unsigned hits)
{
    for (; hits; hits &= hits - 1)
        sink->reported(sink, first + (unsigned)__builtin_ctz(hits));
}

/* Load plane y of the running state, apply the change, put it back, and take it through chi. */
#define STEP_PLANE(y)                                                                                                  \
    do {                                                                                                               \
        V b[5];                                                                                                        \
        for (int i = 0; i < 5; i++) {                                                                                  \
            b[i] = V_XOR(V_LOAD(state + (5 * (y) + i) * V_LANES), V_LOAD(change + (5 * (y) + i) * V_LANES));           \
            V_STORE(state + (5 * (y) + i) * V_LANES, b[i]);                                                            \
        }                                                                                                              \
        CHI(y)(even + 5 * (y), b[0], b[1], b[2], b[3], b[4]);                                                          \
    } while (0)

/* Walk 2^step_bits vectors in Gray-code order. From one to the next a single bit of the nonce flips, and what the
 * second chi is given changes by that bit's constant difference: 25 xors in place of the first round and the linear
 * half of the second. */
V_TARGET static void V_NAME(walk)(const uint64_t message[KECCAK_LANES], uint64_t first, unsigned step_bits,
                                  struct keccak_sink *sink)
{
    _Alignas(64) uint64_t state[KECCAK_LANES * V_LANES];
    _Alignas(64) uint64_t changes[KECCAK_STEP_BITS_MAX + 1][KECCAK_LANES * V_LANES];

    V_NAME(before_second_chi)(message, first, state);
    for (unsigned k = 0; k < step_bits; k++) {
        V_NAME(before_second_chi)(message, first ^ ((uint64_t)KECCAK_GROUP << k), changes[k]);
        for (int i = 0; i < KECCAK_LANES * V_LANES; i++)
            changes[k][i] ^= state[i];
    }
    for (int i = 0; i < KECCAK_LANES * V_LANES; i++)
        changes[step_bits][i] = 0; /* for the first step, which is where we stand */

    const uint64_t *change = changes[step_bits];
    uint64_t mask = sink->mask;
    for (uint32_t step = 0;;) {
        V even[KECCAK_LANES], odd[KECCAK_LANES];
        STEP_PLANE(0);
        even[0] = V_XOR(even[0], V_SET1(V_NAME(constants)[1]));
        STEP_PLANE(1);
        STEP_PLANE(2);
        STEP_PLANE(3);
        STEP_PLANE(4);
#pragma GCC unroll 12
        for (int r = 2; r < KECCAK_ROUNDS - 2; r += 2) {
            V_NAME(round)(odd, even, V_NAME(constants)[r]);
            V_NAME(round)(even, odd, V_NAME(constants)[r + 1]);
        }
        V_NAME(round)(odd, even, V_NAME(constants)[KECCAK_ROUNDS - 2]);
        const unsigned hits = V_CLEAR(V_NAME(last_word)(odd), mask);
        if (__builtin_expect(hits != 0, 0)) {
            V_NAME(report)(sink, first ^ (uint64_t)KECCAK_GROUP * (step ^ (step >> 1)), hits);
            mask = sink->mask;
        }
        step++;
        if (step >> step_bits)
            break;
        change = changes[__builtin_ctz(step)];
    }
}

V_TARGET static void V_NAME(search)(const uint64_t message[KECCAK_LANES], uint64_t first, unsigned step_bits,
                                    struct keccak_sink *sink)
{
    for (unsigned offset = 0; offset < KECCAK_GROUP; offset += V_LANES)
        V_NAME(walk)(message, first + offset, step_bits, sink);
}
