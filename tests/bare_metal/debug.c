/* Single steps, breakpoints on code, data and ports, and the debug registers
   themselves. */

#include "bare.h"

#define DR(n)                                                                  \
        static inline u64 dr##n(void)                                                 \
        {                                                                      \
                u64 value;                                                     \
                asm volatile("mov %%db" #n ", %0" : "=r"(value));              \
                return value;                                                  \
        }                                                                      \
        static void set_dr##n(u64 value)                                       \
        {                                                                      \
                asm volatile("mov %0, %%db" #n : : "r"(value) : "memory");     \
        }
DR(0) DR(1) DR(2) DR(3) DR(6) DR(7)

enum { EXECUTE = 0, WRITE = 1, PORT = 2, ACCESS = 3 };
/* The field of DR7 for a length. */
static u64 length(int bytes)
{
        return bytes == 8 ? 2 : (u64)bytes - 1;
}

static u64 armed(int n, int kind, int bytes)
{
        return 3UL << (2 * n) | (u64)kind << (16 + 4 * n) | length(bytes) << (18 + 4 * n);
}

/* DR6 after a #DB: which breakpoints, and BD, BS. The rest does not change. */
static void tell_dr6(void)
{
        say("dr6 %x, ", dr6() & 0xE00F);
        set_dr6(0xFFFF0FF0);
        tell();
}

/* Single steps. */
PIECE(step_nop, "nop\nnop");
PIECE(step_long, "movabs $1, %rax\nnop");
PIECE(step_popf, "pushq $2\npopfq\nnop\nnop");
PIECE(step_rep, "movl $3, %ecx\nleaq -64(%rsp), %rdi\nmovl $0, %eax\nrep stosb\nnop");
PIECE(step_mov_ss, "movl %ss, %eax\nmovl %eax, %ss\nnop\nnop");
PIECE(step_sti, "sti\nnop\nnop");
PIECE(step_int, "nop\nint $0x80\nnop");
PIECE(step_ud, "ud2");
PIECE(step_jump, "jmp 1f\nnop\n1: nop");
PIECE(step_syscall, "syscall\nnop");

static void steps(const char *name, const char *piece, int level, u64 flags)
{
        struct setting with = {.rflags = FLAG_TF | flags};
        const char *from = level == 3 ? (const char *)LAB_CODE + (piece - pieces_start) : piece;
        /* The trap's own registers go on, step by step, until the end of the piece. */
        for (int n = 0; n < 8; n++) {
                try(piece, level, &with);
                say("step %d of %s level=%d: +%d rcx %x rf=%d ", n, name, level,
                    (u32)(trap_words.rip - (u64)from), trap_gpr[2] & 0xFF, (u32)(trap_words.rflags >> 16) & 1);
                int ends = trap_words.vector != 1;
                tell_dr6();
                if (ends)
                        return;
                with.rip = trap_words.rip;
                with.rsp = trap_words.rsp;
                with.rax = trap_gpr[0];
                with.rcx = trap_gpr[2];
                with.rdi = trap_gpr[5];
                with.rflags = trap_words.rflags;
        }
}

static void single_steps(void)
{
        for (int level = 0; level <= 3; level += 3) {
                steps("nop", step_nop, level, 0);
                steps("movabs", step_long, level, 0);
                steps("popf", step_popf, level, 0);
                steps("rep stosb", step_rep, level, 0);
                steps("mov ss", step_mov_ss, level, 0);
                steps("int", step_int, level, 0);
                steps("ud2", step_ud, level, 0);
                steps("jmp", step_jump, level, 0);
        }
        try(step_sti, 0, &(struct setting){.rflags = FLAG_TF});
        say("step 0 of sti: ");
        tell();
}

/* Breakpoints on code: a fault before the instruction, unless RF is set. */
PIECE(three, "nop\nmovl $5, %eax\nnop\nnop");

static void code_breakpoints(void)
{
        for (int level = 0; level <= 3; level += 3) {
                u64 from = level == 3 ? LAB_CODE + (u64)(three - pieces_start) : (u64)three;
                for (int at = 0; at < 8; at++) {
                        set_dr0(from + (u64)at);
                        set_dr7(armed(0, EXECUTE, 1));
                        try(three, level, 0);
                        set_dr7(0);
                        say("code breakpoint at +%d level=%d: rax %x rf=%d ", at, level, trap_gpr[0],
                            (u32)(trap_words.rflags >> 16) & 1);
                        tell_dr6();
                }
                struct setting with = {.rflags = FLAG_RF};
                set_dr0(from);
                set_dr1(from + 1);
                set_dr7(armed(0, EXECUTE, 1));
                try(three, level, &with);
                say("code breakpoint with RF level=%d: ", level);
                tell_dr6();
                set_dr7(armed(0, EXECUTE, 1) | armed(1, EXECUTE, 1));
                try(three, level, &with);
                say("code breakpoint behind one with RF level=%d: ", level);
                tell_dr6();
                set_dr1(from);
                try(three, level, 0);
                say("two at one place level=%d: ", level);
                tell_dr6();
                set_dr7(armed(1, EXECUTE, 1) & ~(3UL << 2));
                try(three, level, 0);
                say("a breakpoint that is off level=%d: ", level);
                tell_dr6();
                set_dr7(0);
        }
}

/* Breakpoints on data: a trap behind the instruction. */
PIECE(load_1, "movb (%rdi), %al\nnop");
PIECE(load_8, "movq (%rdi), %rax\nnop");
PIECE(store_1, "movb %al, (%rdi)\nnop");
PIECE(store_2, "movw %ax, (%rdi)\nnop");
PIECE(store_8, "movq %rax, (%rdi)\nnop");
PIECE(modify_4, "addl %eax, (%rdi)\nnop");
PIECE(push_8, "leaq 8(%rdi), %rsp\npushq %rax\nnop\nmovq %rbx, %rsp");
PIECE(string_4, "movl $6, %ecx\nrep stosb\nnop");
PIECE(exchange, "xchgl %eax, (%rdi)\nnop");
PIECE(sixteen, "movups %xmm0, (%rdi)\nnop");
PIECE(just_look, "leaq (%rdi), %rax\nprefetchnta (%rdi)\nnop");
PIECE(store_ss, "movl %ss, %eax\nmovl %eax, (%rdi)\nmovw (%rdi), %ss\nnop\nnop");

static void data_breakpoints(void)
{
        static const struct {
                const char *name, *piece;
                int bytes;
        } uses[] = {{"load of 1", load_1, 1},   {"load of 8", load_8, 8},    {"store of 1", store_1, 1},
                    {"store of 2", store_2, 2}, {"store of 8", store_8, 8},  {"add of 4", modify_4, 4},
                    {"push", push_8, 8},        {"rep stosb", string_4, 1},  {"xchg of 4", exchange, 4},
                    {"store of 16", sixteen, 8}, {"lea", just_look, 1}};
        static const int kinds[] = {WRITE, ACCESS}, lengths[] = {1, 2, 4, 8}, places[] = {-8, -1, 0, 1, 3, 4, 7, 8};
        for (unsigned k = 0; k < 2; k++)
                for (unsigned l = 0; l < 4; l++)
                        for (unsigned i = 0; i < sizeof uses / sizeof *uses; i++)
                                for (unsigned p = 0; p < 8; p++) {
                                        /* QEMU takes an access that is not aligned for a larger one. */
                                        if (places[p] & (uses[i].bytes - 1))
                                                continue;
                                        struct setting with = {.rdi = LAB_PAGE + 0x100 + (u64)places[p],
                                                               .rbx = LAB_STACK + 0x800};
                                        set_dr2(LAB_PAGE + 0x100);
                                        set_dr7(armed(2, kinds[k], lengths[l]));
                                        try(uses[i].piece, 3, &with);
                                        set_dr7(0);
                                        say("%s breakpoint of %d, %s %s%d: rcx %x ", k ? "access" : "write",
                                            lengths[l], uses[i].name, places[p] < 0 ? "-" : "+",
                                            places[p] < 0 ? -places[p] : places[p],
                                            uses[i].piece == string_4 ? trap_gpr[2] : 0);
                                        tell_dr6();
                                }
        struct setting with = {.rdi = LAB_PAGE + 0x100};
        set_dr3(LAB_PAGE + 0x103);
        set_dr2(LAB_PAGE + 0x100);
        set_dr7(armed(2, WRITE, 1) | armed(3, ACCESS, 1));
        try(store_8, 3, &with);
        say("two data breakpoints met at once: ");
        tell_dr6();
        with.rflags = FLAG_TF;
        try(store_8, 3, &with);
        say("and a single step: ");
        tell_dr6();
        with.rflags = FLAG_RF;
        try(store_8, 3, &with);
        say("RF does not hold data breakpoints back: ");
        tell_dr6();
        with.rflags = 0;
        set_dr7(0);
        with.rdi = LAB_PAGE + 0x2000;
        set_dr2(LAB_PAGE + 0x2000);
        set_dr7(armed(2, WRITE, 1));
        try(store_8, 3, &with);
        set_dr7(0);
        say("a breakpoint on a missing page: ");
        tell_dr6();
}

static void port_breakpoints(void)
{
        PIECE(out_80, "outb %al, $0x80\nnop");
        PIECE(in_81, "inb $0x81, %al\nnop");
        u64 before = cr4();
        set_cr4(before | 8);
        set_dr1(0x80);
        set_dr7(armed(1, PORT, 1));
        try(out_80, 0, 0);
        say("port breakpoint of 1, out to it: ");
        tell_dr6();
        try(in_81, 0, 0);
        say("port breakpoint of 1, in from the next: ");
        tell_dr6();
        set_dr7(armed(1, PORT, 2));
        try(in_81, 0, 0);
        say("port breakpoint of 2, in from the second: ");
        tell_dr6();
        set_dr7(0);
        set_cr4(before);
}

/* The registers. */
PIECE(read_dr0, "movq %db0, %rax");
PIECE(write_dr0, "movq %rdi, %db0");
PIECE(read_dr4, ".byte 0x0F, 0x21, 0xE0");
PIECE(write_dr7, "movq %rdi, %db7");
PIECE(write_dr6, "movq %rdi, %db6");
PIECE(icebp, ".byte 0xF1\nnop");
PIECE(int_1, "int $1");

static void registers(void)
{
        set_dr0(0x1234567812345678);
        set_dr6(0);
        say("dr6 after 0: %x\n", dr6());
        set_dr6(0xFFFFFFFF);
        say("dr6 after ones: %x\n", dr6());
        set_dr6(0xFFFF0FF0);
        set_dr7(0);
        say("dr7 after 0: %x\n", dr7());
        set_dr7(0xDC00);
        say("dr7 after 0xdc00: %x\n", dr7());
        set_dr7(0);
        say("dr0: %x\n", dr0());
        struct setting with = {.rdi = 0x100000000};
        try(write_dr7, 0, &with);
        say("a wide value for dr7: ");
        tell_dr6();
        try(write_dr6, 0, &with);
        say("a wide value for dr6: ");
        tell_dr6();
        set_dr7(1 << 13);
        try(read_dr0, 0, 0);
        say("mov from dr0 with GD: ");
        tell_dr6();
        say("dr7 in the handler: %x\n", dr7());
        set_dr7(1 << 13);
        try(write_dr0, 3, 0);
        say("mov to dr0 with GD at level 3: ");
        tell();
        /* Only a #DB clears GD. */
        try(write_dr6, 0, &(struct setting){.rdi = 0xFFFF0FF0});
        set_dr7(0);
        set_dr6(0xFFFF0FF0);
        u64 before = cr4();
        try(read_dr4, 0, 0);
        say("mov from dr4: rax %x ", trap_gpr[0]);
        tell_dr6();
        set_cr4(before | 8);
        try(read_dr4, 0, 0);
        set_cr4(before);
        say("mov from dr4 with CR4.DE: ");
        tell_dr6();
        try(icebp, 3, 0);
        say("int1: ");
        tell_dr6();
        try(icebp, 0, 0);
        say("int1 at level 0: ");
        tell_dr6();
        try(int_1, 3, 0);
        say("int 1: ");
        tell_dr6();
        set_gate(1, (u64)stubs + 16, KERNEL_CODE, 0xEE, 0);
        try(int_1, 3, 0);
        say("int 1 through a gate of level 3: ");
        tell_dr6();
        set_gate(1, (u64)stubs + 16, KERNEL_CODE, 0x8E, 0);
}

/* MOV to SS puts off what its operand meets. */
static void stack_shadow(void)
{
        struct setting with = {.rdi = LAB_PAGE + 0x100};
        set_dr0(LAB_PAGE + 0x100);
        set_dr7(armed(0, ACCESS, 4));
        for (int i = 0; i < 2; i++) {
                /* The first trap is the store's; then it goes on from there. */
                try(store_ss, 0, &with);
                say("a breakpoint on what goes to SS, trap %d: ", i);
                with.rip = trap_words.rip;
                tell_dr6();
        }
        set_dr7(0);
}

void debug(void)
{
        registers();
        single_steps();
        code_breakpoints();
        data_breakpoints();
        port_breakpoints();
        stack_shadow();
}
