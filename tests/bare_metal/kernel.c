/* Printing, gates, and the trying of pieces. */

#include <stdarg.h>

#include "bare.h"

static void put(char c)
{
        while (!(inb(0x3F8 + 5) & 0x20))
                ;
        outb(0x3F8, (u8)c);
}

static void number(u64 value, unsigned base)
{
        char digits[20];
        int n = 0;
        do {
                digits[n++] = "0123456789abcdef"[value % base];
                value /= base;
        } while (value);
        while (n)
                put(digits[--n]);
}

void say(const char *format, ...)
{
        va_list list;
        va_start(list, format);
        for (; *format; format++) {
                if (*format != '%') {
                        put(*format);
                        continue;
                }
                switch (*++format) {
                case 's':
                        for (const char *s = va_arg(list, const char *); *s; s++)
                                put(*s);
                        break;
                case 'd':
                        number(va_arg(list, u32), 10);
                        break;
                case 'c':
                        put((char)va_arg(list, int));
                        break;
                default:
                        number(va_arg(list, u64), 16);
                }
        }
        va_end(list);
}

/* The debug exit: the test ends here. */
static _Noreturn void leave(u32 code)
{
        asm volatile("outl %0, %1" : : "a"(code), "Nd"((u16)0xF4));
        for (;;)
                asm volatile("cli; hlt");
}

void give_up(void)
{
        struct words *w = &trap_words;
        say("\nunexpected trap %d(%x) at %x, rflags %x, rsp %x, cr2 %x\n", (u32)w->vector, w->code, w->rip,
            w->rflags, w->rsp, trap_cr2);
        leave(1);
}

/* Tables. */

u64 idt[512] __attribute__((aligned(16)));
u8 task[104] __attribute__((aligned(16)));
u8 trap_stack[8192] __attribute__((aligned(16)));
static u8 piece_stack[8192] __attribute__((aligned(4096)));
u64 lab_pointers[512] __attribute__((aligned(4096)));
u64 lab_directory[512] __attribute__((aligned(4096)));
u64 lab_table[512] __attribute__((aligned(4096)));
static u64 code_table[512] __attribute__((aligned(4096)));
static u64 stack_table[512] __attribute__((aligned(4096)));
static u8 user_stack[4096] __attribute__((aligned(4096)));
u8 lab_frames[2][4096] __attribute__((aligned(4096)));

void set_gate(int vector, u64 handler, u16 selector, int type, int ist)
{
        idt[2 * vector] =
            (handler & 0xFFFF) | (u64)selector << 16 | (u64)ist << 32 | (u64)type << 40 | (handler >> 16 & 0xFFFF) << 48;
        idt[2 * vector + 1] = handler >> 32;
}

static void tables(void)
{
        for (int i = 0; i < 256; i++)
                set_gate(i, (u64)stubs + 16 * i, KERNEL_CODE, i == DONE || i == 3 ? 0xEE : 0x8E, 0);
        *(u64 *)(task + 4) = (u64)trap_stack + sizeof trap_stack;
        *(u64 *)(task + 36) = (u64)trap_stack + 4096;
        *(u16 *)(task + 102) = 104;
        u64 base = (u64)task;
        gdt[6] = 103 | (base & 0xFFFFFF) << 16 | 0x89UL << 40 | (base >> 24 & 0xFF) << 56;
        gdt[7] = base >> 32;
        struct {
                u16 limit;
                u64 base;
        } __attribute__((packed)) idtr = {sizeof idt - 1, (u64)idt};
        /* The old interrupt controllers keep quiet, and the PIT with them. */
        outb(0x21, 0xFF);
        outb(0xA1, 0xFF);
        asm volatile("lidt %0; ltr %w1" : : "m"(idtr), "r"(TASK));
}

static void lab(void)
{
        root_table[1] = (u64)lab_pointers | P | W | U;
        lab_pointers[0] = (u64)lab_directory | P | W | U;
        lab_directory[0] = (u64)code_table | P | W | U;
        lab_directory[1] = (u64)stack_table | P | W | U;
        for (u64 at = 0; pieces_start + at < pieces_end; at += 4096)
                code_table[at / 4096] = ((u64)pieces_start + at) | P | U;
        stack_table[0] = (u64)user_stack | P | W | U;
        lab_reset();
}

void lab_reset(void)
{
        root_table[1] = (u64)lab_pointers | P | W | U;
        lab_pointers[0] = (u64)lab_directory | P | W | U;
        lab_directory[2] = (u64)lab_table | P | W | U;
        lab_table[0] = (u64)lab_frames[0] | P | W | U;
        lab_table[1] = (u64)lab_frames[1] | P | W | U;
        set_cr3(cr3());
}

/* Trying. */

extern void enter(const struct setting *);
static const char *tried;

void try(const char *piece, int level, const struct setting *with)
{
        struct setting setting = {0};
        if (with)
                setting = *with;
        setting.rflags |= 2;
        tried = level == 3 ? (const char *)LAB_CODE + (piece - pieces_start) : piece;
        if (!setting.rip)
                setting.rip = (u64)tried;
        if (!setting.rsp)
                setting.rsp = level == 3 ? LAB_STACK + 0x800 : (u64)piece_stack + 4096;
        if (!setting.cs)
                setting.cs = level == 3 ? USER_CODE : KERNEL_CODE;
        if (!setting.ss)
                setting.ss = level == 3 ? USER_DATA : KERNEL_DATA;
        enter(&setting);
}

static const char *const names[] = {"#DE", "#DB", "NMI", "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", "9",   "#TS",
                                    "#NP", "#SS", "#GP", "#PF", "15",  "#MF", "#AC", "#MC", "#XM"};

void tell(void)
{
        struct words *w = &trap_words;
        u64 vector = w->vector;
        if (vector == DONE) {
                say("done\n");
                return;
        }
        if (vector < 20)
                say("%s", names[vector]);
        else
                say("vector %x", vector);
        if (vector == 8 || (vector >= 10 && vector <= 14) || vector == 17)
                say("(%x)", w->code);
        if (vector == 14) {
                if (trap_cr2 >= LAB && trap_cr2 < LAB + (1UL << 39))
                        say(" for lab+%x", trap_cr2 - LAB);
                else
                        say(" for %x", trap_cr2);
        }
        u64 distance = w->rip - (u64)tried;
        if (distance < 64)
                say(" at +%d\n", (u32)distance);
        else
                say(" elsewhere\n");
}

static const struct {
        const char *name;
        void (*run)(void);
} families[] = {
    {"paging", paging},
    {"faults", faults},
    {"segments", segments},
    {"debug", debug},
    {"interrupts", interrupts},
    {"control", control},
    {"triple", triple},
    {"modes", modes},
};

static int same(const char *a, const char *b)
{
        while (*a && *a == *b)
                a++, b++;
        return *a == *b;
}

/* The command line names the family. */
void main(u64 start_info)
{
        const char *line = (const char *)*(u64 *)(start_info + 24);
        tables();
        lab();
        for (unsigned i = 0; i < sizeof families / sizeof *families; i++) {
                if (same(line, families[i].name)) {
                        families[i].run();
                        say("end\n");
                        leave(0);
                }
        }
        say("no family %s\n", line);
        leave(1);
}
