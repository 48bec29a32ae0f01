/* A 32-bit kernel of the old school: two 8259As, the 8254, the CMOS clock, three
 * threads by turns and a monitor on the serial line. It says nothing about
 * times, only whether clocks agree, so that each computer has to say the same. */
#include "../io.h"

/* ---- the serial line ---- */

static char input[256];
static volatile u32 input_head, input_tail;

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

static void number(u32 value, u32 base)
{
    char digits[12];
    int n = 0;
    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (n)
        put(digits[--n]);
}

static void say(const char *what, u32 value)
{
    print(what);
    print(": ");
    number(value, 10);
    put('\n');
}

static void verdict(const char *what, int right)
{
    print(what);
    print(right ? ": yes\n" : ": NO\n");
}

static void serial_init(void)
{
    /* The receiver keeps what came before: no FIFO is switched on. */
    outb(COM1 + 1, 0);
    outb(COM1 + 3, 0x80);
    outb(COM1 + 0, 1);
    outb(COM1 + 1, 0);
    outb(COM1 + 3, 3);
    outb(COM1 + 4, 0x0B);
}

/* ---- interrupts ---- */

struct frame {
    u32 edi, esi, ebp, esp, ebx, edx, ecx, eax;
    u32 vector, error, eip, cs, eflags;
};

static struct { u16 low, selector, kind, high; } __attribute__((packed)) idt[48];
extern char stubs[];

static volatile u32 ticks, clock_updates, clock_periods, serial_sent;
static volatile u32 lines_seen[16];
static volatile u8 order[16];
static volatile u32 order_len;
static int automatic_eoi;

static void schedule(void);

static void idt_init(void)
{
    for (u32 i = 0; i < 48; i++) {
        u32 at = (u32)stubs + i * 16;
        idt[i].low = (u16)at;
        idt[i].selector = 8;
        idt[i].kind = 0x8E00;
        idt[i].high = (u16)(at >> 16);
    }
    struct { u16 limit; u32 base; } __attribute__((packed)) pointer = { sizeof idt - 1, (u32)idt };
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

static u8 cmos(u8 index)
{
    outb(0x70, index);
    return inb(0x71);
}

static void cmos_write(u8 index, u8 value)
{
    outb(0x70, index);
    outb(0x71, value);
}

static void line_interrupt(u32 line)
{
    lines_seen[line]++;
    if (order_len < sizeof order)
        order[order_len++] = (u8)line;
    if (line == 0) {
        ticks++;
    } else if (line == 4) {
        u8 why = inb(COM1 + 2);
        if ((why & 0xF) == 2)
            serial_sent++;
        while (inb(COM1 + 5) & 1)
            input[input_head++ % sizeof input] = (char)inb(COM1);
    } else if (line == 8) {
        u8 flags = cmos(0x0C);
        clock_updates += flags >> 4 & 1;
        clock_periods += flags >> 6 & 1;
    }
    if (!automatic_eoi) {
        if (line >= 8)
            outb(PIC2, 0x20);
        outb(PIC1, 0x20);
    }
    if (line == 0)
        schedule();
}

static volatile u32 trapped;

void interrupt(struct frame *frame)
{
    if (frame->vector >= 32) {
        line_interrupt(frame->vector - 32);
        return;
    }
    if (frame->vector == 6) { /* a planted UD2 */
        trapped++;
        frame->eip += 2;
        return;
    }
    say("exception", frame->vector);
    for (;;)
        __asm__ volatile("cli; hlt");
}

static void pic_init(u8 icw4)
{
    automatic_eoi = icw4 >> 1 & 1;
    outb(PIC1, 0x11);
    outb(PIC1 + 1, 32);
    outb(PIC1 + 1, 4);
    outb(PIC1 + 1, icw4);
    outb(PIC2, 0x11);
    outb(PIC2 + 1, 40);
    outb(PIC2 + 1, 2);
    outb(PIC2 + 1, icw4);
    outb(PIC1 + 1, 0xFF);
    outb(PIC2 + 1, 0xFF);
}

static void unmask(u16 lines)
{
    outb(PIC1 + 1, (u8)~lines);
    outb(PIC2 + 1, (u8)(~lines >> 8));
}

/* ---- the timer ---- */

static void pit_channel_0(u8 mode, u32 count)
{
    outb(PIT + 3, 0x30 | mode << 1);
    outb(PIT, (u8)count);
    outb(PIT, (u8)(count >> 8));
}

static u32 pit_count(void)
{
    outb(PIT + 3, 0);
    u32 low = inb(PIT);
    return low | (u32)inb(PIT) << 8;
}

/* Cycles of the TSC in 10 ms, by channel 2 and its gate. */
static u32 calibrate(void)
{
    outb(SPEAKER, inb(SPEAKER) & 0xFC);
    outb(PIT + 3, 0xB0);
    outb(PIT + 2, (u8)(PIT_HZ / 100));
    outb(PIT + 2, (PIT_HZ / 100) >> 8);
    u64 start = rdtsc();
    outb(SPEAKER, inb(SPEAKER) | 1);
    while (!(inb(SPEAKER) & 0x20))
        ;
    return (u32)(rdtsc() - start);
}

/* Whether two figures are within a fiftieth of each other. */
static int close(u32 a, u32 b)
{
    u32 less = a < b ? a : b, more = a < b ? b : a;
    return more - less <= more / 50;
}

static u32 cycles_of_ticks(u32 n)
{
    u32 first = ticks;
    while (ticks == first)
        sti_hlt();
    u64 start = rdtsc();
    while (ticks != first + 1 + n)
        sti_hlt();
    return (u32)(rdtsc() - start);
}

/* ---- what is tried ---- */

static u32 per_10_ms;

static void try_masks(void)
{
    pic_init(1);
    verdict("masks are read back", inb(PIC1 + 1) == 0xFF && inb(PIC2 + 1) == 0xFF);
    pit_channel_0(2, PIT_HZ / 100);
    outb(PIC1, 0x0A);
    while (!(inb(PIC1) & 1))
        ;
    sti();
    for (volatile int i = 0; i < 1000; i++)
        ;
    cli();
    verdict("a masked tick waits", ticks == 0);
    unmask(1 << 0);
    sti();
    for (volatile int i = 0; i < 1000; i++)
        ;
    cli();
    verdict("and comes when it may", ticks == 1);
    outb(PIC1, 0x0B);
    verdict("nothing is left in service", inb(PIC1) == 0);
}

static void try_clocks(void)
{
    per_10_ms = calibrate();
    u32 by_ticks = cycles_of_ticks(4) / 4;
    verdict("channel 2 and the ticks agree", close(per_10_ms, by_ticks));
    u32 count = pit_count();
    for (volatile int i = 0; i < 5000; i++)
        ;
    verdict("the count runs down", pit_count() < count);
    pit_channel_0(3, PIT_HZ / 100);
    verdict("so does a square wave", close(per_10_ms, cycles_of_ticks(4) / 4));

    u32 before = ticks;
    pit_channel_0(0, PIT_HZ / 200);
    u64 start = rdtsc();
    while (ticks == before)
        sti_hlt();
    verdict("one shot takes half as long", close(per_10_ms / 2, (u32)(rdtsc() - start)));
    start = rdtsc();
    sti();
    while (rdtsc() - start < per_10_ms)
        ;
    cli();
    verdict("and comes once", ticks == before + 1);
}

static u32 bcd(u8 value)
{
    return (value >> 4) * 10u + (value & 15);
}

static void try_calendar(void)
{
    u32 day, month, year, hour, minute, second;
    do {
        while (cmos(0x0A) & 0x80)
            ;
        second = bcd(cmos(0));
        minute = bcd(cmos(2));
        hour = bcd(cmos(4));
        day = bcd(cmos(7));
        month = bcd(cmos(8));
        year = bcd(cmos(9));
    } while (second != bcd(cmos(0)));
    say("year", year);
    say("month", month);
    say("day", day);
    say("hour", hour);
    verdict("minutes and seconds are such", minute < 60 && second < 60);

    /* Interrupts at each change of the second, through the slave. */
    unmask(1 << 2 | 1 << 8);
    cmos(0x0C);
    cmos_write(0x0B, 0x12);
    while (clock_updates < 1)
        sti_hlt();
    u64 start = rdtsc();
    u32 was = bcd(cmos(0));
    while (clock_updates < 2)
        sti_hlt();
    verdict("a second is a hundred times 10 ms",
            close((u32)((rdtsc() - start) >> 7), (u32)(((u64)per_10_ms * 100) >> 7)));
    verdict("and counts as one", bcd(cmos(0)) == (was + 1) % 60);

    /* The clock's periods: QEMU's are twice as long as the data sheet says, so
     * they are only held against each other. */
    cmos_write(0x0A, 0x26);
    cmos_write(0x0B, 0x42);
    cmos(0x0C);
    u32 periods[2];
    for (u32 i = 0; i < 2; i++) {
        u32 first = clock_periods;
        while (clock_periods == first)
            sti_hlt();
        start = rdtsc();
        while (clock_periods < first + 65)
            sti_hlt();
        periods[i] = (u32)(rdtsc() - start);
    }
    cmos_write(0x0B, 0x02);
    cmos(0x0C);
    verdict("periods are regular", close(periods[0], periods[1]));
    unmask(0);
}

/* Three lines ask while interrupts are off: who is first? */
static void try_priorities(void)
{
    pit_channel_0(0, 100);
    cmos_write(0x0B, 0x42);
    cmos(0x0C);
    outb(COM1 + 1, 2);
    outb(PIC1, 0x0A);
    outb(PIC2, 0x0A);
    while (!(inb(PIC1) & 1) || !(inb(PIC2) & 1) || !(inb(PIC1) & 0x10))
        ;
    order_len = 0;
    unmask(1 << 0 | 1 << 2 | 1 << 4 | 1 << 8);
    sti();
    while (order_len < 3)
        ;
    cli();
    unmask(0);
    cmos_write(0x0B, 0x02);
    cmos(0x0C);
    outb(COM1 + 1, 0);
    print("order:");
    for (u32 i = 0; i < 3; i++) {
        put(' ');
        number(order[i], 10);
    }
    print("\n");
    verdict("the line is idle, it was said", serial_sent >= 1);
}

static void try_polling(void)
{
    pit_channel_0(0, 100);
    outb(PIC1, 0x0A);
    while (!(inb(PIC1) & 1))
        ;
    unmask(1 << 0);
    outb(PIC1, 0x0C);
    say("polled", inb(PIC1));
    outb(PIC1, 0x0B);
    say("in service", inb(PIC1));
    outb(PIC1, 0x60);
    say("in service", inb(PIC1));

    pic_init(3);
    unmask(1 << 0);
    u32 before = ticks;
    pit_channel_0(2, PIT_HZ / 1000);
    while (ticks < before + 3)
        sti_hlt();
    outb(PIC1, 0x0B);
    say("in service with automatic ends", inb(PIC1));
    pit_channel_0(0, 100);
    pic_init(1);
    __asm__ volatile("ud2");
    say("traps", trapped);
}

/* ---- threads ---- */

enum { THREADS = 3, STACK = 4096 };
static struct thread { u32 esp; volatile u32 done; u32 result; } thread[THREADS + 1];
static u8 stacks[THREADS][STACK] __attribute__((aligned(16)));
static volatile u32 running = THREADS, switches;
static volatile int scheduling;

extern void switch_to(u32 *save, u32 esp);

/* By turns; the last one is who started them. */
static void schedule(void)
{
    if (!scheduling)
        return;
    u32 from = running, to = from;
    do
        to = (to + 1) % (THREADS + 1);
    while (thread[to].done);
    if (to != from) {
        running = to;
        switches++;
        switch_to(&thread[from].esp, thread[to].esp);
    }
}

static u32 primes(void)
{
    u32 found = 0;
    for (u32 n = 2; n < 12000; n++) {
        u32 d = 2;
        while (d * d <= n && n % d)
            d++;
        found += d * d > n;
    }
    return found;
}

static u32 collatz(void)
{
    u32 longest = 0, best = 0;
    for (u32 n = 1; n < 6000; n++) {
        u32 steps = 0;
        for (u32 m = n; m != 1; steps++)
            m = m & 1 ? 3 * m + 1 : m / 2;
        if (steps > longest) {
            longest = steps;
            best = n;
        }
    }
    return best;
}

static u32 checksum(void)
{
    u32 crc = ~0u;
    for (u32 n = 0; n < 40000; n++) {
        crc ^= n & 0xFF;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
    }
    return ~crc;
}

static u32 (*const work[THREADS])(void) = { primes, collatz, checksum };

static void thread_main(void)
{
    sti();
    u32 me = running;
    thread[me].result = work[me]();
    cli();
    thread[me].done = 1;
    schedule();
}

static void try_threads(void)
{
    for (u32 i = 0; i < THREADS; i++) {
        u32 *top = (u32 *)(stacks[i] + STACK);
        *--top = 0;
        *--top = (u32)thread_main;
        top -= 4;
        thread[i].esp = (u32)top;
    }
    unmask(1 << 0);
    pit_channel_0(2, PIT_HZ / 1000);
    scheduling = 1;
    while (!thread[0].done || !thread[1].done || !thread[2].done)
        sti_hlt();
    scheduling = 0;
    say("primes", thread[0].result);
    say("longest way to one", thread[1].result);
    print("checksum: ");
    number(thread[2].result, 16);
    print("\n");
    verdict("they were interrupted", switches > 2 * THREADS);
}

/* ---- the monitor ---- */

static int read_line(char *line, u32 room)
{
    u32 len = 0;
    for (;;) {
        while (input_tail == input_head)
            sti_hlt();
        char c = input[input_tail++ % sizeof input];
        if (c == '\n' || c == '\r') {
            print("\n");
            line[len] = 0;
            return (int)len;
        }
        if (len + 1 < room) {
            line[len++] = c;
            put(c);
        }
    }
}

static const char *word(const char *line, const char *wanted)
{
    while (*wanted)
        if (*line++ != *wanted++)
            return 0;
    while (*line == ' ')
        line++;
    return line;
}

static u32 parse(const char **text)
{
    u32 value = 0;
    while (**text >= '0' && **text <= '9')
        value = value * 10 + (u32)(*(*text)++ - '0');
    while (**text == ' ')
        (*text)++;
    return value;
}

static void reboot(void)
{
    print("bye\n");
    while (!(inb(COM1 + 5) & 0x40))
        ;
    while (inb(0x64) & 2)
        ;
    outb(0x64, 0xFE);
    for (;;)
        __asm__ volatile("cli; hlt");
}

static void obey(const char *line)
{
    const char *rest;
    if ((rest = word(line, "echo"))) {
        print(rest);
        put('\n');
    } else if ((rest = word(line, "add"))) {
        u32 a = parse(&rest);
        say("sum", a + parse(&rest));
    } else if ((rest = word(line, "sleep"))) {
        u32 until = ticks + parse(&rest);
        while ((int)(until - ticks) > 0)
            sti_hlt();
        print("slept\n");
    } else if (word(line, "reboot")) {
        reboot();
    } else if (*line) {
        print("what?\n");
    }
}

static void monitor(void)
{
    char line[64];
    unmask(1 << 0 | 1 << 4);
    outb(COM1 + 1, 1);
    for (;;) {
        print("> ");
        read_line(line, sizeof line);
        obey(line);
    }
}

struct start_info { u32 magic, version, flags, modules; u64 module_list, command_line; };

void kernel_main(const struct start_info *start)
{
    serial_init();
    print("clockwork\n");
    verdict("start info", start->magic == 0x336EC578);
    print("command line: ");
    print((const char *)(u32)start->command_line);
    put('\n');
    idt_init();
    try_masks();
    try_clocks();
    try_calendar();
    try_priorities();
    try_polling();
    try_threads();
    monitor();
}
