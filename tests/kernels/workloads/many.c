/* 1,500 functions, called through a table in an order of chance: more code and
 * more targets than caches of either like. */
#include "workloads.h"

#define FUNCTION(N)                                                                       \
    static u64 function_##N(u64 x, u64 *memory)                                           \
    {                                                                                     \
        u64 *cell = &memory[(x ^ 1##N) % 512];                                            \
        u64 y = x * (2 * 1##N##ul + 1) + *cell;                                           \
        if (y & 1ul << 1##N % 29)                                                         \
            y ^= y >> 7 | 1##N;                                                           \
        else                                                                              \
            y += x << 1##N % 5;                                                           \
        *cell = y - 1##N;                                                                 \
        return y;                                                                         \
    }
#define NAME(N) function_##N,

#define TEN(DO, N) DO(N##0) DO(N##1) DO(N##2) DO(N##3) DO(N##4) DO(N##5) DO(N##6) DO(N##7) DO(N##8) DO(N##9)
#define HUNDRED(DO, N) TEN(DO, N##0) TEN(DO, N##1) TEN(DO, N##2) TEN(DO, N##3) TEN(DO, N##4) \
    TEN(DO, N##5) TEN(DO, N##6) TEN(DO, N##7) TEN(DO, N##8) TEN(DO, N##9)
#define ALL(DO) HUNDRED(DO, 10) HUNDRED(DO, 11) HUNDRED(DO, 12) HUNDRED(DO, 13) HUNDRED(DO, 14) \
    HUNDRED(DO, 15) HUNDRED(DO, 16) HUNDRED(DO, 17) HUNDRED(DO, 18) HUNDRED(DO, 19) HUNDRED(DO, 20) \
    HUNDRED(DO, 21) HUNDRED(DO, 22) HUNDRED(DO, 23) HUNDRED(DO, 24)

ALL(FUNCTION)

static u64 (*const functions[])(u64, u64 *) = {ALL(NAME)};

u64 many(u64 n)
{
    u64 *memory = (u64 *)ARENA, x = 1, state = 0x123456789ABCDEF;
    for (u64 i = 0; i < 512; i++)
        memory[i] = i;
    for (u64 call = 0; call < n * 1000; call++)
        x = functions[next_random(&state) % 1500](x, memory);
    return x;
}
