// One line for each set of instructions that not every x86-64 CPU has: what CPUID says of it, and
// whether one of its instructions runs. With an argument: numbers from RDRAND and RDSEED.
#include <cpuid.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static sigjmp_buf back;

static void illegal(int signal) {
	(void)signal;
	siglongjmp(back, 1);
}

enum reg { A, B, C, D };

static int announced(unsigned leaf, unsigned subleaf, enum reg reg, int bit) {
	unsigned r[4];
	if (!__get_cpuid_count(leaf, subleaf, &r[A], &r[B], &r[C], &r[D]))
		return 0;
	return r[reg] >> bit & 1;
}

static uint64_t memory[64] __attribute__((aligned(64)));

#define RUNS(NAME, CODE) \
	static void NAME(void) { \
		__asm__ volatile(CODE : : "D"(memory), "a"(0), "b"(0), "c"(0), "d"(0) \
				 : "memory", "cc", "xmm0", "xmm1", "r8"); \
	}

RUNS(sse3, "haddps %%xmm0, %%xmm1")
RUNS(ssse3, "pshufb %%xmm0, %%xmm1")
RUNS(sse41, "pmulld %%xmm0, %%xmm1")
RUNS(sse42, "crc32b (%%rdi), %%r8d")
RUNS(popcnt, "popcnt (%%rdi), %%r8")
RUNS(cx16, "lock cmpxchg16b (%%rdi)")
RUNS(lahf, "lahf")
RUNS(movbe, "movbe (%%rdi), %%r8")
RUNS(aes, "aesenc %%xmm0, %%xmm1")
RUNS(pclmulqdq, "pclmulqdq $0, %%xmm0, %%xmm1")
RUNS(sha, "sha1nexte %%xmm0, %%xmm1")
RUNS(adx, "adcx (%%rdi), %%r8")
RUNS(rdrand, "rdrand %%r8")
RUNS(rdseed, "rdseed %%r8")
RUNS(bmi1, "andn (%%rdi), %%r8, %%r8")
RUNS(bmi2, "rorx $1, (%%rdi), %%r8")
RUNS(xsave, "xor %%ecx, %%ecx; xgetbv")
RUNS(avx, "vxorps %%ymm0, %%ymm0, %%ymm0")
RUNS(avx2, "vpxor %%ymm0, %%ymm0, %%ymm0")
RUNS(fused, "vfmadd132ps %%xmm0, %%xmm0, %%xmm0")
RUNS(f16c, "vcvtph2ps %%xmm0, %%xmm0")

// These are BSR and BSF elsewhere: they run, but find another number.
static int lzcnt(void) {
	uint64_t found;
	__asm__("lzcnt %1, %0" : "=r"(found) : "r"(1ul) : "cc");
	return found == 63;
}

static int tzcnt(void) {
	uint64_t carry = 0;
	__asm__("xor %%eax, %%eax; tzcnt %1, %1; setc %b0" : "=&a"(carry) : "r"(0ul) : "cc");
	return carry != 0;
}

static const struct {
	const char *name;
	void (*instruction)(void);
	unsigned leaf;
	enum reg reg;
	int bit;
} sets[] = {
	{ "sse3", sse3, 1, C, 0 },
	{ "pclmulqdq", pclmulqdq, 1, C, 1 },
	{ "ssse3", ssse3, 1, C, 9 },
	{ "fma", fused, 1, C, 12 },
	{ "cx16", cx16, 1, C, 13 },
	{ "sse4.1", sse41, 1, C, 19 },
	{ "sse4.2", sse42, 1, C, 20 },
	{ "movbe", movbe, 1, C, 22 },
	{ "popcnt", popcnt, 1, C, 23 },
	{ "aes", aes, 1, C, 25 },
	{ "osxsave", xsave, 1, C, 27 },
	{ "avx", avx, 1, C, 28 },
	{ "f16c", f16c, 1, C, 29 },
	{ "rdrand", rdrand, 1, C, 30 },
	{ "bmi1", bmi1, 7, B, 3 },
	{ "avx2", avx2, 7, B, 5 },
	{ "bmi2", bmi2, 7, B, 8 },
	{ "rdseed", rdseed, 7, B, 18 },
	{ "adx", adx, 7, B, 19 },
	{ "sha", sha, 7, B, 29 },
	{ "lahf", lahf, 0x80000001, C, 0 },
};

static void say(const char *name, int is_announced, int runs) {
	const char *words[] = { "neither", "only runs", "only announced", "announced" };
	printf("%s: %s\n", name, words[2 * is_announced + runs]);
}

static void numbers(void) {
	uint64_t first, second;
	unsigned char good[2];
	__asm__("rdrand %0; setc %1" : "=r"(first), "=r"(good[0]) : : "cc");
	__asm__("rdseed %0; setc %1" : "=r"(second), "=r"(good[1]) : : "cc");
	printf("%lx %lx\n", good[0] ? first : 0, good[1] ? second : 0);
}

int main(int argc, char **argv) {
	(void)argv;
	if (argc > 1) {
		numbers();
		return 0;
	}
	struct sigaction action = { .sa_handler = illegal };
	sigaction(SIGILL, &action, NULL);
	for (unsigned i = 0; i < sizeof sets / sizeof *sets; i++) {
		volatile int runs = 0;
		if (sigsetjmp(back, 1) == 0) {
			sets[i].instruction();
			runs = 1;
		}
		say(sets[i].name, announced(sets[i].leaf, 0, sets[i].reg, sets[i].bit), runs);
	}
	say("lzcnt", announced(0x80000001, 0, C, 5), lzcnt());
	say("tzcnt", announced(7, 0, B, 3), tzcnt());
	return 0;
}
