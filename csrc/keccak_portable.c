/* One lane in plain C: always built, and the reference that every candidate of every kernel is checked by. */
#include <string.h>

#include "keccak_f1600.h"

#define V uint64_t
#define V_LANES 1
#define V_TARGET
#define V_NAME(x) portable_##x
#define V_LOAD(p) (*(p))
#define V_STORE(p, v) (*(p) = (v))
#define V_SET1(u) (u)
#define V_XOR(a, b) ((a) ^ (b))
#define V_THETA_BY_SUM
#define V_XOR5(a, b, c, d, e) ((a) ^ (b) ^ (c) ^ (d) ^ (e))
#define V_ROL(a, n) (((a) << (n)) | ((a) >> (64 - (n))))
#define V_CHI(a, b, c) ((a) ^ (~(b) & (c)))
#define V_CLEAR(v, mask) ((unsigned)(((v) & (mask)) == 0))

/* Without an and-not instruction each of the 25 complements of chi would cost one of its own. Keeping the six lanes
 * 1, 2, 8, 12, 17 and 20 complemented throughout leaves 8: De Morgan turns the other and-nots into ands and ors. */
#define V_COMPLEMENTED
#define V_CHI_FIRST(a, b, c) ((a) ^ ((b) | (c)))
#define CHI_OF(y, e0, e1, e2, e3, e4)                                                                                  \
    static inline void portable_chi##y(V to[5], V b0, V b1, V b2, V b3, V b4)                                          \
    {                                                                                                                  \
        to[0] = e0;                                                                                                    \
        to[1] = e1;                                                                                                    \
        to[2] = e2;                                                                                                    \
        to[3] = e3;                                                                                                    \
        to[4] = e4;                                                                                                    \
    }
CHI_OF(0, b0 ^ (b1 | b2), b1 ^ (~b2 | b3), b2 ^ (b3 & b4), b3 ^ (b4 | b0), b4 ^ (b0 & b1))
CHI_OF(1, b0 ^ (b1 | b2), b1 ^ (b2 & b3), b2 ^ (b3 | ~b4), b3 ^ (b4 | b0), b4 ^ (b0 & b1))
CHI_OF(2, b0 ^ (b1 | b2), b1 ^ (b2 & b3), b2 ^ (~b3 & b4), ~b3 ^ (b4 | b0), b4 ^ (b0 & b1))
CHI_OF(3, b0 ^ (b1 & b2), b1 ^ (b2 | b3), b2 ^ (~b3 | b4), ~b3 ^ (b4 & b0), b4 ^ (b0 | b1))
CHI_OF(4, b0 ^ (~b1 & b2), ~b1 ^ (b2 | b3), b2 ^ (b3 & b4), b3 ^ (b4 | b0), b4 ^ (b0 & b1))

#include "keccak_lanes.h"

const struct keccak_kernel keccak_kernel_portable = {
    .name = "portable", .lanes = V_LANES, .needs = 0, .search = portable_search, .permute = portable_permute};

static void put_bytes(uint64_t message[KECCAK_LANES], size_t offset, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++, offset++)
        message[offset / 8] |= (uint64_t)bytes[i] << (8 * (offset % 8));
}

void keccak_message(uint64_t message[KECCAK_LANES], uint32_t index, const uint8_t entropy[32],
                    const uint8_t farmer[32])
{
    memset(message, 0, KECCAK_LANES * sizeof *message);
    message[0] = __builtin_bswap32(index);
    put_bytes(message, 12, entropy, 32);
    put_bytes(message, 44, farmer, 32);
    put_bytes(message, 76, (const uint8_t[]){0x01}, 1);
    put_bytes(message, 135, (const uint8_t[]){0x80}, 1);
}

void keccak_hash(const uint64_t message[KECCAK_LANES], uint64_t nonce, uint8_t digest[32])
{
    uint64_t state[KECCAK_LANES];
    memcpy(state, message, sizeof state);
    state[0] = keccak_high_lane(message[0], nonce);
    state[1] = keccak_low_lane(message[1], nonce);
    portable_permute(state);
    for (size_t i = 0; i < 32; i++)
        digest[i] = (uint8_t)(state[i / 8] >> (8 * (i % 8)));
}

unsigned keccak_zeros(const uint8_t digest[32])
{
    unsigned zeros = 0;
    while (zeros < 64 && ((digest[zeros / 2] >> (zeros % 2 ? 0 : 4)) & 0xf) == 0)
        zeros++;
    return zeros;
}

uint64_t keccak_zeros_mask(unsigned zeros)
{
    uint64_t mask = 0;
    /* The first digit is the high nibble of the first byte, and that byte the lowest of the word. */
    for (unsigned digit = 0; digit < zeros && digit < 16; digit++)
        mask |= (uint64_t)0xf << (8 * (digit / 2) + (digit % 2 ? 0 : 4));
    return mask;
}
