/* What the workloads share: each does the same work wherever it runs, and what
 * it returns says whether it did. */
#pragma once

#include "../io.h"

/* `n` says how much work. */
typedef u64 workload(u64 n);

workload alu, sieve, chase, strings, loops, calls, sha256, doubles, mix, many;
workload op_syscall, op_fault, op_cr3, op_int80, op_ipi, op_port, op_cold, op_patched, op_timer;

/* Gates, the task, the APIC: what the operations need. */
void system_init(void);

/* Memory that nothing else uses, at 16 MiB. */
#define ARENA ((u8 *)0x1000000)
enum { ARENA_SIZE = 24 << 20 };

static inline u64 next_random(u64 *state)
{
    u64 x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}
