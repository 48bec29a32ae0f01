/* Reads from the command line what to do, "alu=3 sieve=10", and does it: for
 * each a line, "alu " before the work and the result after it. */
#include "workloads.h"

static const struct {
    const char *name;
    workload *run;
} workloads[] = {
    {"alu", alu},         {"sieve", sieve},     {"chase", chase},       {"strings", strings},
    {"loops", loops},     {"calls", calls},     {"sha256", sha256},     {"doubles", doubles},
    {"mix", mix},         {"many", many},       {"syscall", op_syscall}, {"fault", op_fault},
    {"cr3", op_cr3},      {"int80", op_int80},  {"ipi", op_ipi},        {"port", op_port},
    {"cold", op_cold},    {"patched", op_patched}, {"timer", op_timer},
};

static void put(char c)
{
    while (!(inb(COM1 + 5) & 0x20))
        ;
    outb(COM1, (u8)c);
}

static void say(const char *text)
{
    while (*text)
        put(*text++);
}

static void say_hex(u64 value)
{
    for (int shift = 60; shift >= 0; shift -= 4)
        put("0123456789abcdef"[value >> shift & 15]);
}

/* Whether the line begins with the word and an equals sign; goes behind it. */
static int takes(const char **line, const char *word)
{
    const char *at = *line;
    while (*word && *at == *word)
        at++, word++;
    if (*word || *at != '=')
        return 0;
    *line = at + 1;
    return 1;
}

static u64 number(const char **line)
{
    u64 value = 0;
    for (; **line >= '0' && **line <= '9'; ++*line)
        value = value * 10 + (u64)(**line - '0');
    return value;
}

static void run(u32 which, u64 n)
{
    say(workloads[which].name);
    put(' ');
    say_hex(workloads[which].run(n));
    put('\n');
}

/* The debug exit of coe and QEMU; the shutdown port of Bochs; a reset. */
static void leave(void)
{
    say("end\n");
    while (!(inb(COM1 + 5) & 0x40))
        ;
    for (const char *word = "Shutdown"; *word; word++)
        outb(0x8900, (u8)*word);
    __asm__ volatile("outl %0, %1" : : "a"(0), "Nd"((u16)0xF4));
    outb(0x64, 0xFE);
}

void kernel_main(const char *line)
{
    const u32 count = sizeof workloads / sizeof *workloads;
    outb(COM1 + 3, 3);          /* bytes of 8 bits */
    system_init();
    while (*line) {
        u32 which = 0;
        while (which < count && !takes(&line, workloads[which].name))
            which++;
        if (which < count)
            run(which, number(&line));
        else
            line++;
    }
    leave();
}
