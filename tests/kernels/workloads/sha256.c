/* SHA-256 of 16 KiB, over and over. The constants are made as the standard
 * says: from the fractions of the roots of the first primes. */
#include "workloads.h"

static u32 constants[64], state[8];

static u32 rotate(u32 x, int by)
{
    return x >> by | x << (32 - by);
}

/* 32 bits after the point of the root of a small number: the largest x with
 * x^degree <= number * 2^(32 degree). */
static u32 root_fraction(u32 number, int degree)
{
    unsigned __int128 x = 0;
    for (int bit = 36; bit >= 0; bit--) {
        unsigned __int128 trial = x | (unsigned __int128)1 << bit;
        unsigned __int128 power = degree == 2 ? trial * trial : trial * trial * trial;
        if (power <= (unsigned __int128)number << (32 * degree))
            x = trial;
    }
    return (u32)x;
}

static void make_constants(void)
{
    u32 count = 0;
    for (u32 candidate = 2; count < 64; candidate++) {
        u32 divisor = 2;
        while (candidate % divisor)
            divisor++;
        if (divisor < candidate)
            continue;
        if (count < 8)
            state[count] = root_fraction(candidate, 2);
        constants[count++] = root_fraction(candidate, 3);
    }
}

static __attribute__((noinline)) void block(u32 hash[8], const u8 *bytes)
{
    u32 w[64];
    for (int i = 0; i < 16; i++)
        w[i] = __builtin_bswap32(*(const u32 *)(bytes + 4 * i));
    for (int i = 16; i < 64; i++) {
        u32 s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        u32 s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    u32 a = hash[0], b = hash[1], c = hash[2], d = hash[3];
    u32 e = hash[4], f = hash[5], g = hash[6], h = hash[7];
    for (int i = 0; i < 64; i++) {
        u32 one = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g));
        one += constants[i] + w[i];
        u32 two = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + one;
        d = c, c = b, b = a, a = one + two;
    }
    hash[0] += a, hash[1] += b, hash[2] += c, hash[3] += d;
    hash[4] += e, hash[5] += f, hash[6] += g, hash[7] += h;
}

u64 sha256(u64 n)
{
    enum { SIZE = 16384 };
    u64 sum = 0;
    make_constants();
    for (u64 i = 0; i < SIZE; i++)
        ARENA[i] = (u8)(i * i >> 3);
    u8 *end = ARENA + SIZE;
    for (u32 i = 0; i < 64; i++)
        end[i] = 0;
    end[0] = 0x80;
    *(u64 *)(end + 56) = __builtin_bswap64(SIZE * 8);
    for (u64 round = 0; round < n; round++) {
        u32 hash[8];
        for (u32 i = 0; i < 8; i++)
            hash[i] = state[i];
        for (u64 at = 0; at <= SIZE; at += 64)
            block(hash, ARENA + at);
        sum = (u64)hash[0] << 32 | hash[1];
        ARENA[0]++;
    }
    return sum;
}
