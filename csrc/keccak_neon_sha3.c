/* The NEON kernel once more, with the SHA-3 instructions. */
#define NEON_SHA3
#include "keccak_neon.c"
