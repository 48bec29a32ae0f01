/* The programs: they run at CPL 3, each in an address space of its own. */
#include "tenants.h"

static long call(long number, long a, long b)
{
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b)
                     : "rcx", "r11", "rdx", "memory");
    return result;
}

static void say(const char *text)
{
    long len = 0;
    while (text[len])
        len++;
    call(SYS_WRITE, (long)text, len);
}

static void number(unsigned long value)
{
    char digits[24];
    int at = sizeof digits;
    digits[--at] = 0;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    say(digits + at);
}

static void leave(long code)
{
    call(SYS_EXIT, code, 0);
    __builtin_unreachable();
}

/* Memory that comes when it is touched. */
void tenant_sieve(void)
{
    unsigned char *composite = (unsigned char *)HEAP;
    unsigned long found = 0;
    for (unsigned long n = 2; n < 1000000; n++) {
        if (composite[n])
            continue;
        found++;
        for (unsigned long m = n * n; m < 1000000; m += n)
            composite[m] = 1;
    }
    number(found);
    say(" primes below a million");
    leave(0);
}

/* SSE registers that others use as well; the square root is exact. */
void tenant_floats(void)
{
    double sum = 0;
    for (long k = 200000; k > 0; k--)
        sum += 1.0 / ((double)k * (double)k);
    double root;
    __asm__("sqrtsd %1, %0" : "=x"(root) : "x"(sum * 6));
    say("pi * 10^12 is about ");
    number((unsigned long)(root * 1e12));
    leave(0);
}

void tenant_more_floats(void)
{
    double e = 1;
    for (int round = 0; round < 20000; round++) {
        e = 1;
        for (int k = 20; k > 0; k--)
            e = 1 + e / k;
    }
    say("e * 10^12 is about ");
    number((unsigned long)(e * 1e12));
    leave(0);
}

/* Everybody has a copy of what is written: nobody sees the others' counts. */
static volatile long counter = 1000;

void tenant_counter(void)
{
    for (int i = 0; i < 5; i++) {
        counter += call(SYS_ID, 0, 0);
        call(SYS_SLEEP, 3, 0);
    }
    say("counted to ");
    number((unsigned long)counter);
    leave(counter & 0x7F);
}

void tenant_null(void)
{
    say("reads nothing");
    (void)*(volatile int *)8;
    leave(0);
}

void tenant_intruder(void)
{
    say("writes to the kernel");
    *(volatile long *)KERNEL_TEXT = 0;
    leave(0);
}

void tenant_data_runner(void)
{
    say("runs its data");
    *(unsigned char *)HEAP = 0xC3;
    ((void (*)(void))HEAP)();
    leave(0);
}

void tenant_privileged(void)
{
    say("wants no interrupts");
    __asm__ volatile("cli");
    leave(0);
}

void tenant_divider(void)
{
    say("divides");
    __asm__ volatile("xorl %%ecx, %%ecx; divl %%ecx" : : : "eax", "ecx", "edx");
    leave(0);
}

void tenant_noncanonical(void)
{
    say("leaves the address space");
    *(volatile char *)0x0000800000000000 = 1;
    leave(0);
}
