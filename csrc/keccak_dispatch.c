/* Which kernels were compiled in, and which of them this CPU and system can run. */
#define _GNU_SOURCE
#include <pthread.h>
#include <string.h>

#include "keccak_f1600.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

const struct keccak_kernel *const keccak_kernels[] = {
    &keccak_kernel_portable,
#if defined(__x86_64__)
    &keccak_kernel_avx2,
    &keccak_kernel_avx512,
#elif defined(__aarch64__)
    &keccak_kernel_neon,
    &keccak_kernel_neon_sha3,
#endif
    NULL,
};

#if defined(__x86_64__)

/* Bits as in the Intel SDM, volume 2 (CPUID) and volume 1, 13.3 (XCR0). */
enum {
    LEAF1_ECX_OSXSAVE = 1 << 27,
    LEAF7_EBX_AVX2 = 1 << 5,
    LEAF7_EBX_AVX512F = 1 << 16,
    XCR0_YMM = 0x06,  /* SSE and AVX state */
    XCR0_ZMM = 0xe6,  /* and opmask, upper halves, upper registers */
};

unsigned keccak_features_of(uint32_t leaf1_ecx, uint32_t leaf7_ebx, uint64_t xcr0)
{
    unsigned features = 0;
    if (!(leaf1_ecx & LEAF1_ECX_OSXSAVE))
        return 0; /* the system saves no more than SSE, whatever the CPU can do */
    if ((leaf7_ebx & LEAF7_EBX_AVX2) && (xcr0 & XCR0_YMM) == XCR0_YMM)
        features |= KECCAK_CPU_AVX2;
    if ((leaf7_ebx & LEAF7_EBX_AVX512F) && (xcr0 & XCR0_ZMM) == XCR0_ZMM)
        features |= KECCAK_CPU_AVX512;
    return features;
}

static unsigned ask(void)
{
    uint32_t eax, ebx, ecx, edx, leaf1_ecx, leaf7_ebx = 0, low, high;
    if (!__get_cpuid(1, &eax, &ebx, &leaf1_ecx, &edx))
        return 0;
    if (!(leaf1_ecx & LEAF1_ECX_OSXSAVE))
        return 0; /* XGETBV would trap */
    if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
        leaf7_ebx = ebx;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return keccak_features_of(leaf1_ecx, leaf7_ebx, (uint64_t)high << 32 | low);
}

#elif defined(__aarch64__)

static unsigned ask(void)
{
    unsigned features = KECCAK_CPU_NEON; /* part of the base architecture */
#if defined(__linux__)
    const unsigned long hwcap_sha3 = 1ul << 17; /* HWCAP_SHA3, Linux uapi asm/hwcap.h */
    if (getauxval(AT_HWCAP) & hwcap_sha3)
        features |= KECCAK_CPU_SHA3;
#endif
    return features;
}

#else

static unsigned ask(void)
{
    return 0;
}

#endif

static pthread_once_t asked = PTHREAD_ONCE_INIT;
static unsigned answer;

static void ask_once(void)
{
    answer = ask();
}

unsigned keccak_cpu_features(void)
{
    pthread_once(&asked, ask_once);
    return answer;
}

const struct keccak_kernel *keccak_fastest_kernel(unsigned features)
{
    const struct keccak_kernel *fastest = &keccak_kernel_portable;
    for (size_t i = 0; keccak_kernels[i]; i++)
        if ((keccak_kernels[i]->needs & ~features) == 0)
            fastest = keccak_kernels[i];
    return fastest;
}

const struct keccak_kernel *keccak_kernel_named(const char *name)
{
    for (size_t i = 0; keccak_kernels[i]; i++)
        if (strcmp(keccak_kernels[i]->name, name) == 0)
            return keccak_kernels[i];
    return NULL;
}
