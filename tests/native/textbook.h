/* Keccak-f[1600] step by step as FIPS 202, section 3.2, writes it: nothing unrolled, no table copied from csrc/. */
#ifndef TEXTBOOK_H
#define TEXTBOOK_H

#include <stdint.h>
#include <string.h>

static inline uint64_t textbook_rotate(uint64_t lane, unsigned by)
{
    by %= 64;
    return by ? lane << by | lane >> (64 - by) : lane;
}

/* Algorithm 5: one bit of a linear-feedback shift register. */
static inline unsigned textbook_rc(unsigned t)
{
    unsigned r = 1;
    for (unsigned i = 0; i < t % 255; i++) {
        r <<= 1;
        if (r & 0x100)
            r ^= 0x171;
    }
    return r & 1;
}

static inline void textbook_permute(uint64_t a[25])
{
    static uint64_t constants[24];
    if (!constants[0])
        for (unsigned round = 0; round < 24; round++)
            for (unsigned j = 0; j <= 6; j++)
                constants[round] |= (uint64_t)textbook_rc(j + 7 * round) << ((1u << j) - 1);

    for (unsigned round = 0; round < 24; round++) {
        uint64_t c[5], b[25];
        for (unsigned x = 0; x < 5; x++)
            c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
        for (unsigned i = 0; i < 25; i++)
            a[i] ^= c[(i + 4) % 5] ^ textbook_rotate(c[(i + 1) % 5], 1);
        b[0] = a[0];
        for (unsigned t = 0, x = 1, y = 0; t < 24; t++) {
            const unsigned to_x = y, to_y = (2 * x + 3 * y) % 5;
            b[to_x + 5 * to_y] = textbook_rotate(a[x + 5 * y], (t + 1) * (t + 2) / 2);
            x = to_x;
            y = to_y;
        }
        for (unsigned i = 0; i < 25; i++)
            a[i] = b[i] ^ (~b[i / 5 * 5 + (i + 1) % 5] & b[i / 5 * 5 + (i + 2) % 5]);
        a[0] ^= constants[round];
    }
}

/* Keccak-256 of at most 135 bytes: one block. */
static inline void textbook_keccak256(const uint8_t *bytes, size_t count, uint8_t digest[32])
{
    uint8_t block[136] = {0};
    uint64_t state[25] = {0};
    memcpy(block, bytes, count);
    block[count] ^= 0x01;
    block[135] ^= 0x80;
    for (size_t i = 0; i < 136; i++)
        state[i / 8] |= (uint64_t)block[i] << (8 * (i % 8));
    textbook_permute(state);
    for (size_t i = 0; i < 32; i++)
        digest[i] = (uint8_t)(state[i / 8] >> (8 * (i % 8)));
}

#endif
