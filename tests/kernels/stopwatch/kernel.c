/* Measures what instructions cost, by the time-stamp counter: each sequence is
 * written out many times between two readings, and once more not at all; the
 * difference is what it costs. The least of three tries counts, so that pages
 * which were never used before cost nothing. It knows no cost beforehand. */
#include "../io.h"

static void put(char c)
{
    while (!(inb(COM1 + 5) & 0x20))
        ;
    outb(COM1, (u8)c);
}

static void number(u64 value)
{
    char digits[24];
    int n = 0;
    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    while (n)
        put(digits[--n]);
}

/* "name: cost", with what is left over if the cost is no whole number. */
static void report(const char *name, long total, u32 times)
{
    while (*name)
        put(*name++);
    put(':');
    put(' ');
    if (total < 0) {
        put('-');
        total = -total;
    }
    number((u64)total / times);
    if ((u64)total % times) {
        put('+');
        number((u64)total % times);
        put('/');
        number(times);
    }
    put('\n');
}

#define EVERYTHING "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", \
                   "r13", "r14", "r15", "memory", "cc"

/* Cycles from one reading to the other; the code lies in one page. */
#define ONCE(PREPARE, BODY, TIMES, END)                                                   \
    ({                                                                                    \
        u32 cycles;                                                                       \
        __asm__ volatile(".balign 2048\n" PREPARE "\n rdtsc\n movl %%eax, %%r8d\n"        \
                         ".rept " #TIMES "\n" BODY "\n.endr\n" END "\n"                   \
                         "subl %%r8d, %%eax\n movl %%eax, %0"                             \
                         : "=m"(cycles) : : EVERYTHING);                                  \
        cycles;                                                                           \
    })

#define LEAST(PREPARE, BODY, TIMES, END)                                                  \
    ({                                                                                    \
        u32 least = ~0u;                                                                  \
        for (int try = 0; try < 3; try++) {                                               \
            u32 cycles = ONCE(PREPARE, BODY, TIMES, END);                                 \
            if (cycles < least)                                                           \
                least = cycles;                                                           \
        }                                                                                 \
        (long)least;                                                                      \
    })

#define COST(PREPARE, BODY, TIMES, END) \
    (LEAST(PREPARE, BODY, TIMES, END) - LEAST(PREPARE, BODY, 0, END))

#define MEASURE(NAME, PREPARE, BODY) report(NAME, COST(PREPARE, BODY, 50, "rdtsc"), 50)

u8 scratch[8192] __attribute__((aligned(4096)));
static struct { u16 low, selector; u8 ist, kind; u16 middle; u32 high, zero; } __attribute__((packed)) idt[64];
static struct { u32 reserved; u64 rsp[3]; u64 more[8]; u16 pad, map; } __attribute__((packed)) tss;
extern u64 gdt[];
extern char gdt_pointer[], stack_top[], take_time[], take_time_apic[], return_at_cpl_0[], return_to_cpl_3[];

static void gate(u32 vector, char *handler, u8 kind)
{
    u64 at = (u64)handler;
    idt[vector].low = (u16)at;
    idt[vector].selector = 8;
    idt[vector].kind = kind;
    idt[vector].middle = (u16)(at >> 16);
    idt[vector].high = (u32)(at >> 32);
}

static void wrmsr(u32 index, u64 value)
{
    __asm__ volatile("wrmsr" : : "c"(index), "a"((u32)value), "d"((u32)(value >> 32)));
}

static void tables_init(void)
{
    struct { u16 limit; u64 base; } __attribute__((packed)) pointer = { sizeof idt - 1, (u64)idt };
    u64 base = (u64)&tss;
    gate(3, take_time, 0xEE);
    gate(32, take_time_apic, 0x8E);
    gate(33, take_time, 0xEE);
    tss.rsp[0] = (u64)stack_top - 8192;
    tss.map = sizeof tss;
    gdt[5] = (sizeof tss - 1) | (base & 0xFFFFFF) << 16 | 0x89ull << 40 | (base >> 24 & 0xFF) << 56;
    gdt[6] = base >> 32;
    __asm__ volatile("lgdt (%0); lidt %1; ltr %w2"
                     : : "r"(gdt_pointer), "m"(pointer), "r"(0x28));
    *(volatile u32 *)0xFEE000F0 = 0x13F;
    wrmsr(0xC0000081, 0x0013000800000000);
    wrmsr(0xC0000084, 0);
}

static void integers(void)
{
    MEASURE("add", "xorl %%ebx, %%ebx", "addq %%rbx, %%rbx");
    MEASURE("shift", "movl $1, %%ebx", "rolq $3, %%rbx");
    MEASURE("imul", "movl $3, %%ebx", "imulq %%rbx, %%rbx");
    MEASURE("div", "movl $1, %%ecx", "xorl %%edx, %%edx\n divq %%rcx");
    MEASURE("jump", "", "jmp 1f\n1:");
    MEASURE("branch not taken", "", "jc 1f\n1:");
    MEASURE("load", "movl $scratch, %%esi", "movq (%%rsi), %%rbx");
    MEASURE("store", "movl $scratch, %%edi", "movq %%rbx, (%%rdi)");
    MEASURE("add to memory", "movl $scratch, %%edi", "addq %%rbx, (%%rdi)");
    MEASURE("locked add to memory", "movl $scratch, %%edi", "lock addq %%rbx, (%%rdi)");
    MEASURE("push and pop", "", "pushq %%rbx\n popq %%rbx");
    MEASURE("call and return", "jmp 2f\n1: ret\n2:", "call 1b");
    MEASURE("scasb", "movl $scratch, %%edi", "scasb");
    MEASURE("stosq", "movl $scratch, %%edi", "stosq");
    report("a round of rep stosb",
           COST("movl $100, %%ecx\n movl $scratch, %%edi", "rep stosb", 1, "rdtsc"), 100);
    report("a round of rep movsb",
           COST("movl $100, %%ecx\n movl $scratch, %%edi\n movl $scratch + 4096, %%esi",
                "rep movsb", 1, "rdtsc"), 100);
}

static void floats(void)
{
    MEASURE("addps", "xorps %%xmm1, %%xmm1", "addps %%xmm1, %%xmm1");
    MEASURE("pxor", "", "pxor %%xmm1, %%xmm1");
    MEASURE("movaps from memory", "movl $scratch, %%esi", "movaps (%%rsi), %%xmm1");
    MEASURE("mulpd", "xorps %%xmm1, %%xmm1", "mulpd %%xmm1, %%xmm1");
    MEASURE("cvtdq2ps", "xorps %%xmm1, %%xmm1", "cvtdq2ps %%xmm1, %%xmm1");
    MEASURE("divps", "xorps %%xmm1, %%xmm1", "divps %%xmm1, %%xmm1");
    MEASURE("sqrtsd", "xorps %%xmm1, %%xmm1", "sqrtsd %%xmm1, %%xmm1");
    MEASURE("fadd", "fninit\n fldz", "fadd %%st(0), %%st(0)");
    MEASURE("fmul", "fninit\n fldz", "fmul %%st(0), %%st(0)");
    MEASURE("fdiv", "fninit\n fld1", "fdiv %%st(0), %%st(0)");
    MEASURE("fsqrt", "fninit\n fld1", "fsqrt");
    MEASURE("fsin", "fninit\n fldz", "fsin");
    MEASURE("f2xm1", "fninit\n fldz", "f2xm1");
}

static void system_instructions(void)
{
    MEASURE("rdtsc", "", "rdtsc");
    MEASURE("rdmsr", "movl $0xC0000103, %%ecx", "rdmsr");
    MEASURE("wrmsr", "movl $0xC0000103, %%ecx\n xorl %%edx, %%edx", "wrmsr");
    MEASURE("cpuid", "", "cpuid");
    MEASURE("invlpg", "movl $0x40000000, %%esi", "invlpg (%%rsi)");
    MEASURE("write cr8", "xorl %%ebx, %%ebx", "mov %%rbx, %%cr8");
    MEASURE("write cr0", "movq %%cr0, %%rbx", "movq %%rbx, %%cr0");
    MEASURE("load a segment", "movl $0x10, %%ebx", "mov %%ebx, %%ds");
    MEASURE("lidt", "subq $16, %%rsp\n sidt (%%rsp)\n movq %%rsp, %%rbx\n addq $16, %%rsp",
            "lidt (%%rbx)");
    MEASURE("in", "movl $0x80, %%edx", "inb $0x80, %%al");
    MEASURE("out", "", "outb %%al, $0x80");
    MEASURE("load from a device", "movl $0xFEE00020, %%esi", "movl (%%rsi), %%ebx");
    MEASURE("store to a device", "movl $0xFEE00080, %%edi\n xorl %%ebx, %%ebx", "movl %%ebx, (%%rdi)");
}

/* Each load meets a page that no translation is kept for; the first instruction
 * after the flush brings the code's own back. */
#define FLUSH "movq %%cr3, %%rbx\n movq %%rbx, %%cr3\n movl $scratch, %%ecx\n movq (%%rcx), %%rcx"
#define WALK(AT) \
    COST(FLUSH "\n movabsq $" AT ", %%rsi", "movq (%%rsi), %%rbx\n addq $4096, %%rsi", 50, "rdtsc")

static void translations(void)
{
    long small = WALK("0x40000000"), large = WALK("0x81000000"), huge = WALK("0x101000000");
    report("load from a new page of 4 KiB, and add", small, 50);
    report("load from a new page of 2 MiB, and add", large, 50);
    report("load from a new page of 1 GiB, and add", huge, 50);
    report("the last table of a walk", small - large, 50);
}

/* What ends in a handler, which takes the time. */
#define DELIVERY(NAME, PREPARE, BODY)                                                     \
    report(NAME,                                                                          \
           LEAST("movq %%rsp, %%r14\n movl $1f, %%r15d\n" PREPARE, BODY, 1, "1:")         \
           - LEAST(PREPARE, BODY, 0, "rdtsc"), 1)

static void deliveries(void)
{
    DELIVERY("int3", "", "int3");
    DELIVERY("int n", "", "int $33");
    /* The same command to nobody, and to this CPU. */
    long quiet = LEAST("movl $0xFEE00300, %%edi\n movl $0x01000000, 16(%%rdi)\n movl $32, %%ebx\n sti",
                       "movl %%ebx, (%%rdi)", 1, "cli\n rdtsc");
    long taken = LEAST("movq %%rsp, %%r14\n movl $1f, %%r15d\n movl $0xFEE00300, %%edi\n"
                       "movl $0x40020, %%ebx\n sti", "movl %%ebx, (%%rdi)", 1, "1: cli");
    long cli = COST("", "cli", 50, "rdtsc") / 50;
    report("interrupt", taken - (quiet - cli), 1);
    MEASURE("pushing a frame and iret", "movq %%rsp, %%r9",
            "pushq $0\n pushq %%r9\n pushfq\n pushq $8\n pushq $1f\n iretq\n1:");
    report("pushing a frame",
           COST("movq %%rsp, %%r9", "pushq $0\n pushq %%r9\n pushfq\n pushq $8\n pushq $1f\n1:",
                50, "rdtsc\n movq %%r9, %%rsp"), 50);
}

static void system_calls(void)
{
    wrmsr(0xC0000082, (u64)return_at_cpl_0);
    MEASURE("syscall and a jump back", "", "syscall");
    wrmsr(0xC0000082, (u64)return_to_cpl_3);
#define AT_CPL_3(BODY, TIMES)                                                             \
    LEAST("movq %%rsp, %%r14\n movl $2f, %%r15d\n"                                        \
          "pushq $0x1B\n pushq %%r14\n pushq $2\n pushq $0x23\n pushq $3f\n iretq\n3:",    \
          BODY, TIMES, "int $33\n 2:")
    report("syscall and sysret", AT_CPL_3("syscall", 50) - AT_CPL_3("syscall", 0), 50);
}

void kernel_main(void)
{
    tables_init();
    integers();
    floats();
    system_instructions();
    translations();
    deliveries();
    system_calls();
    outb(0x64, 0xFE);
}
