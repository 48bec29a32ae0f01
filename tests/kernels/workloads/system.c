/* What a kernel does all day: calls into it, page faults, other page tables,
 * interrupts, ports, and code that was only just written. */
#include "workloads.h"

static struct {
    u16 low, selector;
    u8 ist, kind;
    u16 middle;
    u32 high, zero;
} __attribute__((packed)) idt[256];
static struct {
    u32 reserved;
    u64 rsp[3];
    u64 more[8];
    u16 pad, map;
} __attribute__((packed)) task;

extern u64 gdt[], small_pages[512], root[], other_root[];
extern char gdt_pointer[], stack_top[];
extern char page_fault[], user_is_done[], return_at_once[], count_interrupt[], answer_system_call[];
volatile u64 interrupts;
extern u64 user_calls(u64 n);

enum { SMALL = 1 << 20 };   /* MiB: where small_pages maps, 1 TiB */
#define SMALL_AREA ((u8 *)((u64)SMALL << 20))
enum { CALL = 0x80, SELF = 0x40, FAULT = 14 };
#define APIC(REGISTER) (*(volatile u32 *)(0xFEE00000ul + (REGISTER)))

static void gate(u32 vector, const char *handler, u8 kind)
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

static void load_root(const void *table)
{
    __asm__ volatile("mov %0, %%cr3" : : "r"(table) : "memory");
}

void system_init(void)
{
    struct {
        u16 limit;
        u64 base;
    } __attribute__((packed)) pointer = {sizeof idt - 1, (u64)idt};
    u64 base = (u64)&task;
    gate(FAULT, page_fault, 0x8E);
    gate(SELF, count_interrupt, 0x8E);
    gate(CALL, return_at_once, 0xEE);
    gate(CALL + 1, user_is_done, 0xEE);
    task.rsp[0] = (u64)stack_top - 32768;
    task.map = sizeof task;
    gdt[5] = (sizeof task - 1) | (base & 0xFFFFFF) << 16 | 0x89ull << 40 | (base >> 24 & 0xFF) << 56;
    gdt[6] = base >> 32;
    __asm__ volatile("lgdt (%0); lidt %1; ltr %w2" : : "r"(gdt_pointer), "m"(pointer), "r"(0x28));
    outb(PIC1 + 1, 0xFF);
    outb(PIC2 + 1, 0xFF);
    APIC(0xF0) = 0x13F;
    wrmsr(0xC0000081, 0x0013000800000000);
    wrmsr(0xC0000082, (u64)answer_system_call);
    wrmsr(0xC0000084, 0);
}

/* From level 3 and back, by SYSCALL and SYSRET. */
u64 op_syscall(u64 n)
{
    return user_calls(n);
}

/* A page that is not there: the handler maps it, the load is tried again, and
 * the page goes away. */
u64 op_fault(u64 n)
{
    u64 sum = 0;
    for (u64 i = 0; i < 512; i++)
        ARENA[4096 * i] = (u8)(i * 3);
    for (u64 i = 0; i < n; i++) {
        volatile u8 *page = SMALL_AREA + 4096 * (i % 512);
        sum = sum * 3 + *page;
        small_pages[i % 512] = 0;
        __asm__ volatile("invlpg %0" : : "m"(*page) : "memory");
    }
    return sum;
}

/* Other tables, and then the use of 16 pages. */
u64 op_cr3(u64 n)
{
    u64 sum = 0;
    for (u64 i = 0; i < 16; i++) {
        small_pages[i] = (u64)(ARENA + 4096 * i) | 7;
        ARENA[4096 * i] = (u8)i;
    }
    for (u64 i = 0; i < n; i++) {
        load_root(i & 1 ? other_root : root);
        for (u64 page = 0; page < 16; page++)
            sum = sum * 3 + ++*(volatile u8 *)(SMALL_AREA + 4096 * page);
    }
    for (u64 i = 0; i < 16; i++)
        small_pages[i] = 0;
    load_root(root);
    return sum;
}

/* A software interrupt that returns at once. */
u64 op_int80(u64 n)
{
    u64 sum = 0;
    for (u64 i = 0; i < n; i++) {
        __asm__ volatile("int $0x80" : "+r"(sum));
        sum += i;
    }
    return sum;
}

/* An interrupt that the CPU sends itself through its APIC. */
u64 op_ipi(u64 n)
{
    interrupts = 0;
    __asm__ volatile("sti");
    for (u64 i = 0; i < n; i++) {
        APIC(0x300) = 0x40000 | SELF;
        while (interrupts == i)
            ;
    }
    __asm__ volatile("cli");
    return interrupts;
}

/* The serial line's scratch register, written and read: two operations a round. */
u64 op_port(u64 n)
{
    u64 sum = 0;
    for (u64 i = 0; i < n; i += 2) {
        outb(COM1 + 7, (u8)(i >> 1));
        sum = sum * 3 + inb(COM1 + 7);
    }
    return sum;
}

extern const u8 sample[], sample_end[], small_sample[], small_sample_end[];
enum { SLOT = 256, SLOTS = ARENA_SIZE / SLOT };

static void copy(u8 *to, const u8 *from, const u8 *end)
{
    u64 words = (u64)(end - from + 7) / 8;
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

/* A function at a place where none was, called once. A page is filled first. */
u64 op_cold(u64 n)
{
    u64 sum = 1;
    for (u64 i = 0; i < n; i++) {
        u8 *slot = ARENA + i % SLOTS * SLOT;
        if (i % 16 == 0)
            for (u64 next = 0; next < 16; next++)
                copy(slot + next * SLOT, sample, sample_end);
        sum = ((u64(*)(u64, u64))slot)(sum, i);
    }
    return sum;
}

/* A function whose constant is overwritten before each call. */
u64 op_patched(u64 n)
{
    u64 sum = 0;
    copy(ARENA, small_sample, small_sample_end);
    for (u64 i = 0; i < n; i++) {
        *(volatile u32 *)(ARENA + 1) = (u32)i * 7;
        sum = sum * 3 + ((u64(*)(void))ARENA)();
    }
    return sum;
}

/* The APIC's timer, once, and HLT until then. Time passes in the guest only. */
u64 op_timer(u64 n)
{
    interrupts = 0;
    APIC(0x3E0) = 0xB;
    APIC(0x320) = SELF;
    for (u64 i = 0; i < n; i++) {
        APIC(0x380) = 1000;
        while (interrupts == i)
            __asm__ volatile("sti; hlt; cli" : : : "memory");
    }
    APIC(0x320) = 0x10000 | SELF;
    return interrupts;
}
