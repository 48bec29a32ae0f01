/* A 64-bit kernel: tenants at CPL 3 in address spaces of their own, SYSCALL,
 * memory on demand and copies on write, turns by the APIC timer that the 8254
 * has measured, power off by ACPI. It says nothing about times, only whether
 * clocks agree, so that each computer has to say the same. */
#include "../io.h"
#include "tenants.h"

#define HIGH 0xFFFFFFFF80000000ull
#define PHYSICAL(address) ((u64)(address) - HIGH)

static void *at(u64 physical) { return (void *)(physical + HIGH); }

/* ---- the serial line ---- */

static void put(char c)
{
    if (c == '\n')
        put('\r');
    while (!(inb(COM1 + 5) & 0x20))
        ;
    outb(COM1, (u8)c);
}

static void print(const char *text)
{
    while (*text)
        put(*text++);
}

static void number(u64 value, u32 base)
{
    char digits[24];
    int n = 0;
    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (n)
        put(digits[--n]);
}

static void verdict(const char *what, int right)
{
    print(what);
    print(right ? ": yes\n" : ": NO\n");
}

/* ---- the processor ---- */

static inline void wrmsr(u32 index, u64 value)
{
    __asm__ volatile("wrmsr" : : "c"(index), "a"((u32)value), "d"((u32)(value >> 32)));
}

static inline void write_cr3(u64 value) { __asm__ volatile("mov %0, %%cr3" : : "r"(value) : "memory"); }

static inline u64 read_cr2(void)
{
    u64 value;
    __asm__ volatile("mov %%cr2, %0" : "=r"(value));
    return value;
}

struct frame {
    u64 r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    u64 vector, error, rip, cs, rflags, rsp, ss;
};

static struct { u32 reserved; u64 rsp[3]; u64 more[8]; u16 pad, map; } __attribute__((packed)) tss;
static u64 gdt[7];
static struct { u16 low, selector; u8 ist, kind; u16 middle; u32 high, zero; } __attribute__((packed)) idt[64];
static struct { u16 limit; u64 base; } __attribute__((packed)) pointer;

enum { KERNEL_CODE = 0x08, KERNEL_DATA = 0x10, USER_DATA = 0x18, USER_CODE = 0x20, TASK = 0x28 };

extern char stubs[], syscall_entry[], leave_to_tenant[], tenants_image[], tenants_end[], root_table[];
extern u64 kernel_rsp;

static void tables_init(void)
{
    u64 base = (u64)&tss;
    gdt[1] = 0x00AF9A000000FFFF;
    gdt[2] = 0x00CF92000000FFFF;
    gdt[3] = 0x00CFF2000000FFFF;
    gdt[4] = 0x00AFFA000000FFFF;
    gdt[5] = (sizeof tss - 1) | (base & 0xFFFFFF) << 16 | 0x89ull << 40 | (base >> 24 & 0xFF) << 56;
    gdt[6] = base >> 32;
    tss.map = sizeof tss;
    pointer.limit = sizeof gdt - 1;
    pointer.base = (u64)gdt;
    __asm__ volatile("lgdt %0; ltr %w1; mov %w2, %%ss" : : "m"(pointer), "r"(TASK), "r"(KERNEL_DATA));
    for (u32 i = 0; i < 64; i++) {
        u64 stub = (u64)stubs + i * 16;
        idt[i].low = (u16)stub;
        idt[i].selector = KERNEL_CODE;
        idt[i].kind = 0x8E;
        idt[i].middle = (u16)(stub >> 16);
        idt[i].high = (u32)(stub >> 32);
    }
    pointer.limit = sizeof idt - 1;
    pointer.base = (u64)idt;
    __asm__ volatile("lidt %0" : : "m"(pointer));
    wrmsr(0xC0000081, (u64)(USER_DATA - 8 + 3) << 48 | (u64)KERNEL_CODE << 32);
    wrmsr(0xC0000082, (u64)syscall_entry);
    wrmsr(0xC0000084, 0x47700);
}

/* ---- interrupt controllers ---- */

#define APIC(register) (*(volatile u32 *)(HIGH + 0x40000000 + 0x3EE00000 + (register)))
#define IOAPIC(register) (*(volatile u32 *)(HIGH + 0x40000000 + 0x3EC00000 + (register)))
enum { TICK = 32, PIT_TICK = 33, SERIAL = 34, SPURIOUS = 63 };

static void route(u32 input, u32 entry)
{
    IOAPIC(0) = 0x11 + 2 * input;
    IOAPIC(0x10) = APIC(0x20);
    IOAPIC(0) = 0x10 + 2 * input;
    IOAPIC(0x10) = entry;
}

static void apic_init(void)
{
    outb(PIC1 + 1, 0xFF);
    outb(PIC2 + 1, 0xFF);
    APIC(0xF0) = 0x100 | SPURIOUS;
    APIC(0x80) = 0;
    APIC(0x350) = 0x10000;
    APIC(0x360) = 0x10000;
    APIC(0x3E0) = 3; /* by 16 */
    for (u32 input = 0; input < 24; input++)
        route(input, 0x10000);
}

/* ---- time ---- */

static volatile u64 ticks, pit_ticks, serial_interrupts;
static u32 tsc_per_10_ms, timer_per_10_ms, pm_per_10_ms;
static u16 pm_timer, pm_control;
static u32 soft_off = ~0u;

static int close(u64 a, u64 b)
{
    u64 less = a < b ? a : b, more = a < b ? b : a;
    return more - less <= more / 50;
}

/* Three clocks while channel 2 of the 8254 runs down once. */
static void calibrate(void)
{
    outb(SPEAKER, inb(SPEAKER) & 0xFC);
    outb(PIT + 3, 0xB0);
    outb(PIT + 2, (u8)(PIT_HZ / 100));
    outb(PIT + 2, (PIT_HZ / 100) >> 8);
    APIC(0x320) = 0x10000;
    APIC(0x380) = ~0u;
    u32 pm = inl(pm_timer);
    u64 tsc = rdtsc();
    outb(SPEAKER, inb(SPEAKER) | 1);
    while (!(inb(SPEAKER) & 0x20))
        ;
    tsc_per_10_ms = (u32)(rdtsc() - tsc);
    timer_per_10_ms = ~0u - APIC(0x390);
    pm_per_10_ms = (inl(pm_timer) - pm) & 0xFFFFFF;
    APIC(0x380) = 0;
}

static u64 cycles_of(volatile u64 *counter, u64 n)
{
    u64 first = *counter;
    while (*counter == first)
        sti_hlt();
    u64 start = rdtsc();
    while (*counter < first + 1 + n)
        sti_hlt();
    return rdtsc() - start;
}

static void try_clocks(void)
{
    calibrate();
    verdict("the PM timer has its frequency", close(pm_per_10_ms, 35795));
    /* The old timer's ticks, through the IOAPIC. */
    route(2, PIT_TICK);
    outb(PIT + 3, 0x34);
    outb(PIT, (u8)(PIT_HZ / 200));
    outb(PIT, (PIT_HZ / 200) >> 8);
    verdict("ticks through the IOAPIC agree", close(tsc_per_10_ms, cycles_of(&pit_ticks, 2)));
    route(2, 0x10000);
    APIC(0x320) = 0x20000 | TICK;
    APIC(0x380) = timer_per_10_ms / 10;
    verdict("so does the APIC's timer", close(tsc_per_10_ms, cycles_of(&ticks, 10)));
    route(4, SERIAL);
    outb(COM1 + 4, 0x0B);
    outb(COM1 + 1, 2);
    while (!serial_interrupts)
        sti_hlt();
    outb(COM1 + 1, 0);
    verdict("the serial line interrupts", serial_interrupts == 1);
}

/* ---- ACPI ---- */

static int same(const char *a, const char *b, u32 len)
{
    while (len--)
        if (*a++ != *b++)
            return 0;
    return 1;
}

static int sums_to_zero(const char *table)
{
    u8 sum = 0;
    for (u32 i = 0; i < *(u32 *)(table + 4); i++)
        sum += (u8)table[i];
    return sum == 0;
}

static const char *find_table(const char *rsdp, const char *name)
{
    const char *rsdt = at(*(u32 *)(rsdp + 16));
    for (u32 i = 36; i < *(u32 *)(rsdt + 4); i += 4) {
        const char *table = at(*(u32 *)(rsdt + i));
        if (same(table, name, 4) && sums_to_zero(table))
            return table;
    }
    return 0;
}

static void read_tables(u64 root)
{
    const char *rsdp = at(root), *madt = find_table(rsdp, "APIC"), *fadt = find_table(rsdp, "FACP");
    verdict("ACPI", same(rsdp, "RSD PTR ", 8) && madt && fadt);
    u32 cpus = 0, io_apics = 0;
    for (u32 i = 44; i < *(u32 *)(madt + 4); i += (u8)madt[i + 1]) {
        cpus += madt[i] == 0 && madt[i + 4] & 1;
        io_apics += madt[i] == 1 && *(u32 *)(madt + i + 4) == 0xFEC00000;
    }
    verdict("one CPU, one IOAPIC", cpus == 1 && io_apics == 1);
    verdict("the APIC is where it is", *(u32 *)(madt + 36) == 0xFEE00000);
    pm_control = *(u16 *)(fadt + 64);
    pm_timer = *(u16 *)(fadt + 76);
    const char *dsdt = at(*(u32 *)(fadt + 40));
    for (u32 i = 36; i + 8 < *(u32 *)(dsdt + 4); i++) {
        if (!same(dsdt + i, "_S5_\x12", 5))
            continue;
        const char *value = dsdt + i + 7;
        soft_off = *value == 0x0A ? (u8)value[1] : (u8)*value;
    }
    verdict("there is a way to switch off", soft_off < 8);
}

/* ---- memory ---- */

enum { PRESENT = 1, WRITABLE = 2, USER = 4, PAGE = 4096 };
#define NX (1ull << 63)
#define FRAME 0x000FFFFFFFFFF000ull

static u64 next_frame = 0x1000000;

static u64 new_frame(void)
{
    u64 frame = next_frame, *words = at(frame);
    next_frame += PAGE;
    for (u32 i = 0; i < PAGE / 8; i++)
        words[i] = 0;
    return frame;
}

/* The entry of a tenant's page, with tables as needed. */
static u64 *entry_of(u64 root, u64 address)
{
    u64 *table = at(root);
    for (int shift = 39; shift > 12; shift -= 9) {
        u64 *entry = &table[address >> shift & 511];
        if (!(*entry & PRESENT))
            *entry = new_frame() | PRESENT | WRITABLE | USER;
        table = at(*entry & FRAME);
    }
    return &table[address >> 12 & 511];
}

static u64 new_space(void)
{
    u64 root = new_frame();
    ((u64 *)at(root))[511] = ((u64 *)at((u64)root_table))[511];
    for (u64 page = 0x400000; page < (u64)tenants_end; page += PAGE)
        *entry_of(root, page) = (PHYSICAL(tenants_image) + page - 0x400000) | PRESENT | USER;
    return root;
}

/* ---- tenants ---- */

enum { MOST = 12, KERNEL_STACK = 8192, SAID = 160 };
enum { FREE, READY, ASLEEP, DONE };

static struct tenant {
    u8 floats[512] __attribute__((aligned(16)));
    u64 rsp, root, wake, code;
    int state, killed;
    u32 demanded, copied, said;
    char saying[SAID];
    u8 stack[KERNEL_STACK] __attribute__((aligned(16)));
} tenant[MOST + 1];

static u32 tenants, running, turns, taken;
extern void switch_to(u64 *save, u64 rsp);

#define ENTRY(name) extern void tenant_##name(void);
ENTRY(sieve) ENTRY(floats) ENTRY(more_floats) ENTRY(counter) ENTRY(null) ENTRY(intruder)
ENTRY(data_runner) ENTRY(privileged) ENTRY(divider) ENTRY(noncanonical)

static void let_in(void (*entry)(void))
{
    struct tenant *new = &tenant[++tenants];
    struct frame *frame = (struct frame *)(new->stack + KERNEL_STACK) - 1;
    new->root = new_space();
    new->state = READY;
    *frame = (struct frame){ .rip = (u64)entry, .cs = USER_CODE + 3, .rflags = 0x202,
                             .rsp = STACK_TOP - 8, .ss = USER_DATA + 3 };
    u64 *top = (u64 *)frame;
    *--top = (u64)leave_to_tenant;
    top -= 6;
    new->rsp = (u64)top;
    *(u16 *)new->floats = 0x37F;
    *(u32 *)(new->floats + 24) = 0x1F80;
}

/* By turns; number 0 is the kernel itself and runs when nobody else can. */
static void schedule(void)
{
    u32 from = running, to = from;
    for (u32 i = 0; i < tenants; i++) {
        to = to % tenants + 1;
        if (tenant[to].state == ASLEEP && tenant[to].wake <= ticks)
            tenant[to].state = READY;
        if (tenant[to].state == READY)
            break;
    }
    if (tenant[to].state != READY)
        to = 0;
    if (to == from)
        return;
    turns++;
    running = to;
    __asm__ volatile("fxsave %0" : "=m"(tenant[from].floats));
    __asm__ volatile("fxrstor %0" : : "m"(tenant[to].floats));
    kernel_rsp = tss.rsp[0] = (u64)(tenant[to].stack + KERNEL_STACK);
    write_cr3(tenant[to].root);
    switch_to(&tenant[from].rsp, tenant[to].rsp);
}

static void end(int killed, u64 code)
{
    tenant[running].killed = killed;
    tenant[running].code = code;
    tenant[running].state = DONE;
    schedule();
}

u64 system_call(u64 number, u64 a, u64 b, u64 c)
{
    struct tenant *me = &tenant[running];
    (void)c;
    switch (number) {
    case SYS_WRITE:
        for (u64 i = 0; i < b && me->said < SAID - 1; i++)
            me->saying[me->said++] = ((const char *)a)[i];
        return b;
    case SYS_EXIT:
        end(0, a);
        return 0;
    case SYS_ID:
        return running;
    case SYS_SLEEP:
        me->wake = ticks + a;
        me->state = ASLEEP;
        schedule();
        return 0;
    }
    return ~0ull;
}

/* True if the page is there now. */
static int page_fault(u64 address, u64 error)
{
    struct tenant *me = &tenant[running];
    int on_demand = (address >= HEAP && address < HEAP + HEAP_SIZE)
                    || (address >= STACK_TOP - STACK_SIZE && address < STACK_TOP);
    if (!(error & PRESENT) && on_demand) {
        *entry_of(me->root, address) = new_frame() | PRESENT | WRITABLE | USER | NX;
        me->demanded++;
        return 1;
    }
    if ((error & (PRESENT | WRITABLE)) == 3 && address >= 0x400000 && address < (u64)tenants_end) {
        u64 *entry = entry_of(me->root, address), copy = new_frame();
        for (u32 i = 0; i < PAGE / 8; i++)
            ((u64 *)at(copy))[i] = ((u64 *)at(*entry & FRAME))[i];
        *entry = copy | PRESENT | WRITABLE | USER;
        __asm__ volatile("invlpg (%0)" : : "r"(address & ~4095ull) : "memory");
        me->copied++;
        return 1;
    }
    return 0;
}

static void die(const struct frame *frame)
{
    print("the kernel met exception ");
    number(frame->vector, 10);
    print(" at ");
    number(frame->rip, 16);
    print("\n");
    for (;;)
        __asm__ volatile("cli; hlt");
}

void interrupt(struct frame *frame)
{
    switch (frame->vector) {
    case TICK:
        ticks++;
        APIC(0xB0) = 0;
        if (tenants)
            taken += (frame->cs & 3) == 3, schedule();
        return;
    case PIT_TICK:
        pit_ticks++;
        APIC(0xB0) = 0;
        return;
    case SERIAL:
        serial_interrupts += (inb(COM1 + 2) & 0xF) == 2;
        APIC(0xB0) = 0;
        return;
    case SPURIOUS:
        return;
    }
    if (!(frame->cs & 3))
        die(frame);
    if (frame->vector == 14 && page_fault(read_cr2(), frame->error))
        return;
    end(1, frame->vector << 32 | frame->error);
}

static void report(u32 i)
{
    struct tenant *one = &tenant[i];
    print("tenant ");
    number(i, 10);
    print(": ");
    print(one->saying);
    print(one->killed ? "; killed by exception " : "; exit ");
    number(one->killed ? one->code >> 32 : one->code, 10);
    if (one->killed) {
        print(", error code ");
        number((u32)one->code, 16);
    }
    print("; ");
    number(one->demanded, 10);
    print(" pages on demand, ");
    number(one->copied, 10);
    print(" copied\n");
}

static int somebody_is_left(void)
{
    for (u32 i = 1; i <= tenants; i++)
        if (tenant[i].state != DONE)
            return 1;
    return 0;
}

static void try_tenants(void)
{
    void (*const all[])(void) = {
        tenant_sieve, tenant_floats, tenant_more_floats, tenant_counter, tenant_counter,
        tenant_null, tenant_intruder, tenant_data_runner, tenant_privileged, tenant_divider,
        tenant_noncanonical,
    };
    tenant[0].root = PHYSICAL(HIGH) + (u64)root_table;
    for (u32 i = 0; i < sizeof all / sizeof *all; i++)
        let_in(all[i]);
    while (somebody_is_left())
        sti_hlt();
    for (u32 i = 1; i <= tenants; i++)
        report(i);
    verdict("they took turns", turns > 2 * tenants && taken > 4);
}

struct start_info {
    u32 magic, version, flags, modules;
    u64 module_list, command_line, rsdp;
};

void kernel_main(u64 start_info)
{
    const struct start_info *start = at(start_info);
    print("longhouse\n");
    verdict("start info", start->magic == 0x336EC578);
    print("command line: ");
    print(at(start->command_line));
    put('\n');
    tables_init();
    apic_init();
    read_tables(start->rsdp);
    try_clocks();
    try_tenants();
    print("good night\n");
    while (!(inb(COM1 + 5) & 0x40))
        ;
    outw(pm_control, (u16)(soft_off << 10 | 1 << 13));
    for (;;)
        __asm__ volatile("cli; hlt");
}
