/* Workloads of integers: registers and branches, memory, strings, calls. */
#include "workloads.h"

/* How long the numbers below a limit take to come down to 1, with some mixing. */
u64 alu(u64 n)
{
    u64 sum = 0, state = 88172645463325252;
    for (u64 round = 0; round < n; round++) {
        for (u64 start = 1; start < 3000; start++) {
            u64 x = start, steps = 0;
            while (x != 1) {
                x = x & 1 ? 3 * x + 1 : x >> 1;
                steps++;
            }
            sum += steps * (next_random(&state) >> 60);
        }
        sum = (sum << 9 | sum >> 55) ^ state;
    }
    return sum;
}

/* The primes below a million, by Eratosthenes. */
u64 sieve(u64 n)
{
    enum { LIMIT = 1000000 };
    u8 *composite = ARENA;
    u64 sum = 0;
    for (u64 round = 0; round < n; round++) {
        for (u64 i = 0; i < LIMIT; i++)
            composite[i] = 0;
        for (u64 i = 2; i * i < LIMIT; i++)
            if (!composite[i])
                for (u64 j = i * i; j < LIMIT; j += i)
                    composite[j] = 1;
        for (u64 i = 2; i < LIMIT; i++)
            if (!composite[i])
                sum += i;
    }
    return sum;
}

/* A ring through 1,024 pages in an order of chance, one word in each. */
u64 chase(u64 n)
{
    enum { PAGES = 1024 };
    static u16 order[PAGES];
    u64 state = 0x9E3779B97F4A7C15, sum = 0;
    for (u32 i = 0; i < PAGES; i++)
        order[i] = (u16)i;
    for (u32 i = PAGES - 1; i; i--) {
        u32 j = (u32)(next_random(&state) % (i + 1));
        u16 other = order[i];
        order[i] = order[j];
        order[j] = other;
    }
    u64 **first = (u64 **)(ARENA + 4096 * order[0]), **at = first;
    for (u32 i = 1; i < PAGES; i++, at = (u64 **)*at)
        *at = (u64 *)(ARENA + 4096 * order[i] + order[i] % 60 * 64);
    *at = (u64 *)first;
    for (u64 step = 0; step < n * PAGES * 64; step++) {
        at = (u64 **)*at;
        sum += (u64)at;
    }
    return sum;
}

/* Copies, fills, searches and compares 16 KiB with the CPU's string instructions. */
u64 strings(u64 n)
{
    enum { SIZE = 16384 };
    u64 sum = 0;
    for (u64 i = 0; i < SIZE; i++)
        ARENA[i] = (u8)(i * 7 | 1);
    ARENA[SIZE - 1] = 0;
    for (u64 round = 0; round < n; round++) {
        u8 *from = ARENA, *to = ARENA + 2 * SIZE;
        u64 count = SIZE;
        __asm__ volatile("rep movsb" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
        from = ARENA, to = ARENA + 4 * SIZE, count = SIZE / 8;
        __asm__ volatile("rep movsq" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
        to = ARENA + 6 * SIZE, count = SIZE;
        __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(round) : "memory");
        to = ARENA + 8 * SIZE, count = SIZE / 4;
        __asm__ volatile("rep stosl" : "+D"(to), "+c"(count) : "a"(round) : "memory");
        to = ARENA + 2 * SIZE, count = ~0ul;
        __asm__ volatile("repne scasb" : "+D"(to), "+c"(count) : "a"(0) : "memory");
        sum = sum * 31 + ~count;
        from = ARENA + 2 * SIZE, to = ARENA + 4 * SIZE, count = SIZE;
        __asm__ volatile("repe cmpsb" : "+S"(from), "+D"(to), "+c"(count) : : "memory");
        sum = sum * 31 + count + ARENA[6 * SIZE + round % SIZE] + ARENA[8 * SIZE];
    }
    return sum;
}

/* The same kind of work as loops that a compiler wrote. */
u64 loops(u64 n)
{
    enum { WORDS = 2048 };
    u64 *a = (u64 *)ARENA, *b = a + WORDS;
    u32 *c = (u32 *)(b + WORDS);
    u64 sum = 0;
    for (u64 i = 0; i < WORDS; i++)
        a[i] = i * 0x9E3779B97F4A7C15;
    for (u64 round = 0; round < n; round++) {
        for (u64 i = 0; i < WORDS; i++)
            b[i] = a[i];
        for (u64 i = 0; i < 2 * WORDS; i++)
            c[i] = (u32)round;
        for (u64 i = 0; i < WORDS; i++)
            sum += b[i] ^ c[i];
        for (u64 i = WORDS; i-- > 0;)
            a[i] += sum;
    }
    return sum;
}

static __attribute__((noinline)) u64 fibonacci(u64 n)
{
    if (n < 2)
        return n;
    u64 one = fibonacci(n - 1);
    __asm__ volatile("" : "+r"(one));
    return one + fibonacci(n - 2);
}

static __attribute__((noinline)) u64 ackermann(u64 m, u64 n)
{
    if (!m)
        return n + 1;
    u64 inner = n ? ackermann(m, n - 1) : 1;
    __asm__ volatile("" : "+r"(inner));
    return ackermann(m - 1, inner);
}

u64 calls(u64 n)
{
    u64 sum = 0;
    for (u64 round = 0; round < n; round++)
        sum = sum * 31 + fibonacci(20 + round % 4) + ackermann(2, 40 + round % 8);
    return sum;
}
