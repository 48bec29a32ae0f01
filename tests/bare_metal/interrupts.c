/* When interrupts and NMIs are taken: flags, shadows, priorities, the local APIC
   and its timer. No line depends on how fast anything is. */

#include "bare.h"

#define APIC 0xFEE00000UL
enum { TPR = 0x80, PPR = 0xA0, EOI = 0xB0, SVR = 0xF0, ISR = 0x100, IRR = 0x200, ESR = 0x280, ICR = 0x300,
       ICR_HIGH = 0x310, LVT_TIMER = 0x320, LVT_LINT1 = 0x360, INITIAL = 0x380, CURRENT = 0x390, DIVIDE = 0x3E0 };

static void apic_write(u32 at, u32 value)
{
        *(volatile u32 *)(APIC + at) = value;
}

static u32 apic_read(u32 at)
{
        return *(volatile u32 *)(APIC + at);
}

/* Interrupts ourselves: the vector waits until IF allows it. */
static void send(u32 vector)
{
        apic_write(ICR, 0x40000 | vector);
}

static void send_nmi(void)
{
        apic_write(ICR_HIGH, apic_read(0x20) & 0xFF000000);
        apic_write(ICR, 0x400);
}

static u32 pending(u32 vector)
{
        return apic_read(IRR + vector / 32 * 16) >> vector % 32 & 1;
}

static u32 in_service(u32 vector)
{
        return apic_read(ISR + vector / 32 * 16) >> vector % 32 & 1;
}

static void end(void)
{
        apic_write(EOI, 0);
}

/* Windows: what is between the piece's start and the interrupt. */
PIECE(plain_nops, "nop\nnop\nnop");
PIECE(after_sti, "sti\nnop\nnop\nnop");
PIECE(sti_sti, "sti\nsti\nnop\nnop");
PIECE(sti_cli, "sti\ncli\nnop\nnop");
PIECE(after_mov_ss, "movl %ss, %eax\nmovl %eax, %ss\nnop\nnop");
PIECE(mov_ss_twice, "movl %ss, %eax\npushfq\norl $0x200, (%rsp)\nmovl %eax, %ss\nmovl %eax, %ss\nnop\nnop");
PIECE(popf_window, "pushq $0x202\npopfq\nnop\nnop");
PIECE(iret_window, "movq %rsp, %rcx\nmovl %ss, %eax\npushq %rax\npushq %rcx\npushq $0x202\nmovl %cs, %eax\n"
                   "pushq %rax\nleaq 1f(%rip), %rax\npushq %rax\niretq\n1: nop\nnop");
PIECE(sti_hlt, "sti\nhlt\nnop");
PIECE(sti_ud, "sti\nud2");
PIECE(sti_int, "sti\nint $0x41");
PIECE(cr8_window, "xorl %eax, %eax\nmovq %rax, %cr8\nnop\nnop");

static void window(const char *name, const char *piece, int level, u64 flags)
{
        try(piece, level, &(struct setting){.rflags = flags});
        int taken = trap_words.vector >= 0x20 && trap_words.vector != DONE && trap_words.vector != 0x41;
        say("%s level=%d if=%d: still pending %d if pushed %d ", name, level, flags & FLAG_IF ? 1 : 0, pending(0x50),
            (u32)(trap_words.rflags >> 9) & 1);
        tell();
        if (taken)
                end();
        else {
                try(plain_nops, 0, &(struct setting){.rflags = FLAG_IF});
                end();
        }
}

static void windows(void)
{
        static const struct {
                const char *name, *piece;
        } pieces[] = {{"nop", plain_nops},         {"sti", after_sti},       {"sti sti", sti_sti},
                      {"sti cli", sti_cli},        {"mov ss", after_mov_ss},
                      {"mov ss twice", mov_ss_twice}, {"popf", popf_window}, {"iret", iret_window},
                      {"sti hlt", sti_hlt},        {"sti ud2", sti_ud},      {"sti int", sti_int}};
        for (unsigned i = 0; i < sizeof pieces / sizeof *pieces; i++)
                for (int on = 0; on < 2; on++) {
                        send(0x50);
                        window(pieces[i].name, pieces[i].piece, 0, on ? FLAG_IF : 0);
                }
        /* IOPL 3 lets level 3 use STI. */
        send(0x50);
        window("sti with IOPL 3", after_sti, 3, 3 << 12);
        send(0x50);
        window("nop", plain_nops, 3, FLAG_IF);
}

static void taken(const char *what)
{
        say("%s: ", what);
        tell();
}

/* Task priority, classes, what is in service. */
static void priorities(void)
{
        struct setting on = {.rflags = FLAG_IF};
        for (u64 cr = 4; cr <= 6; cr++) {
                set_cr8(cr);
                say("cr8 %x: tpr %x ", cr, (u64)apic_read(TPR));
                send(0x50);
                try(plain_nops, 0, &on);
                say("ppr %x pending %d in service %d: ", (u64)apic_read(PPR), pending(0x50), in_service(0x50));
                tell();
                if (trap_words.vector == 0x50)
                        end();
                set_cr8(0);
                if (trap_words.vector != 0x50) {
                        try(plain_nops, 0, &on);
                        end();
                }
        }
        apic_write(TPR, 0x5F);
        say("tpr 5f shows as cr8 %x\n", cr8());
        send(0x50);
        try(cr8_window, 0, &on);
        taken("cr8 falls with an interrupt waiting");
        end();
        apic_write(TPR, 0);
        send(0x41);
        send(0x62);
        send(0x53);
        try(plain_nops, 0, &on);
        taken("three wait, first");
        try(plain_nops, 0, &on);
        taken("none of a lower class while it is served");
        send(0x6F);
        try(plain_nops, 0, &on);
        taken("nor of the same");
        send(0x71);
        try(plain_nops, 0, &on);
        taken("but of a higher one");
        say("in service %d %d ppr %x\n", in_service(0x62), in_service(0x71), (u64)apic_read(PPR));
        end();
        say("in service %d %d ppr %x\n", in_service(0x62), in_service(0x71), (u64)apic_read(PPR));
        end();
        for (int i = 0; i < 3; i++) {
                try(plain_nops, 0, &on);
                taken("then");
                end();
        }
        try(plain_nops, 0, &on);
        taken("and no more");
        send(0x50);
        send(0x50);
        try(plain_nops, 0, &on);
        taken("twice the same");
        send(0x50);
        say("the same again while in service, pending %d\n", pending(0x50));
        end();
        try(plain_nops, 0, &on);
        taken("after the end of the first");
        end();
        try(plain_nops, 0, &on);
        taken("is the second");
}

/* NMIs: through IF, not through themselves, not into the shadow of SS. */
PIECE(nmi_here, "movl $0x400, (%rdi)\n1: jmp 1b");

static void nmis(void)
{
        /* An NMI that is sent is taken at once, whatever IF says: from a piece. */
        struct setting with = {.rdi = APIC + ICR};
        apic_write(ICR_HIGH, apic_read(0x20) & 0xFF000000);
        try(nmi_here, 0, &with);
        say("nmi with if=0: if pushed %d rf %d ", (u32)(trap_words.rflags >> 9) & 1, (u32)(trap_words.rflags >> 16) & 1);
        tell();
        /* `enter` goes to the piece by IRET, so NMIs are open again there. */
        with.rflags = FLAG_IF;
        try(nmi_here, 0, &with);
        taken("nmi with if=1");
        /* The trap's handler of the last one has not returned: the next one waits. */
        try(nmi_here, 0, &with);
        send_nmi();
        say("nmi while another is served: waits\n");
        try(plain_nops, 0, 0);
        taken("and comes after IRET");
        try(plain_nops, 0, 0);
        taken("once");
        /* After an NMI and before IRET two more are one. */
        try(nmi_here, 0, &with);
        send_nmi();
        send_nmi();
        try(plain_nops, 0, 0);
        taken("two that wait, first");
        try(plain_nops, 0, 0);
        taken("two that wait, second");
        /* With an interrupt: the NMI is first. */
        try(nmi_here, 0, &with);
        send_nmi();
        send(0x50);
        try(plain_nops, 0, &with);
        taken("an NMI and an interrupt, first");
        try(plain_nops, 0, &with);
        taken("an NMI and an interrupt, second");
        end();
        try(nmi_here, 3, &with);
        taken("level 3 cannot reach the APIC");
}

/* The timer. */
PIECE(wait_here, "1: jmp 1b");
PIECE(halt_here, "hlt\n1: jmp 1b");

static void timer(void)
{
        struct setting on = {.rflags = FLAG_IF};
        static const u8 divides[] = {0, 1, 2, 3, 8, 9, 10, 11};
        apic_write(LVT_TIMER, 0x60);
        for (unsigned i = 0; i < sizeof divides; i++) {
                apic_write(DIVIDE, divides[i]);
                apic_write(INITIAL, 1000);
                try(wait_here, 0, &on);
                say("one shot, divide %x reads %x: initial %x current %x in service %d ", (u64)divides[i],
                    (u64)apic_read(DIVIDE), (u64)apic_read(INITIAL), (u64)apic_read(CURRENT), in_service(0x60));
                tell();
                end();
        }
        apic_write(DIVIDE, 3);
        apic_write(LVT_TIMER, 0x10060);
        apic_write(INITIAL, 100);
        while (apic_read(CURRENT))
                ;
        say("masked one shot: pending %d\n", pending(0x60));
        apic_write(LVT_TIMER, 0x20060);
        apic_write(INITIAL, 5000);
        for (int n = 0; n < 3; n++) {
                try(wait_here, 0, &on);
                u32 current = apic_read(CURRENT);
                say("periodic, turn %d: running %d ", n, current != 0 && current <= 5000);
                tell();
                end();
        }
        try(halt_here, 0, &on);
        say("periodic, with hlt: vector %x\n", trap_words.vector);
        end();
        apic_write(INITIAL, 0);
        say("stopped: current %x\n", (u64)apic_read(CURRENT));
        apic_write(LVT_TIMER, 0x60);
        apic_write(INITIAL, 0xFFFFFFFF);
        u32 first = apic_read(CURRENT), second = first;
        for (int i = 0; i < 100000 && second == first; i++)
                second = apic_read(CURRENT);
        say("it counts down: %d\n", second < first);
        apic_write(INITIAL, 0);
        apic_write(LVT_TIMER, 0xFFFFFFFF & ~0x40000);
        say("lvt of the timer after ones: %x\n", (u64)apic_read(LVT_TIMER));
        apic_write(LVT_TIMER, 0x10000);
}

/* The rest of the local APIC. */
static void registers(void)
{
        struct setting on = {.rflags = FLAG_IF};
        say("version %x id %x\n", (u64)apic_read(0x30) & 0xFF, (u64)apic_read(0x20) >> 24);
        apic_write(SVR, 0xFF);
        apic_write(LVT_TIMER, 0x60);
        say("switched off: lvt %x\n", (u64)apic_read(LVT_TIMER));
        apic_write(SVR, 0x1FF);
        say("on again: lvt %x svr %x\n", (u64)apic_read(LVT_TIMER), (u64)apic_read(SVR));
        apic_write(LVT_TIMER, 0x10000);
        /* Where the masks did not stay, the timer has left something. */
        try(plain_nops, 0, &on);
        end();
        apic_write(ICR_HIGH, 0xFF000000);
        apic_write(ICR, 0x50);
        try(plain_nops, 0, &on);
        taken("to everybody by id");
        end();
        apic_write(ICR, 0x80050);
        try(plain_nops, 0, &on);
        taken("shorthand all");
        end();
        apic_write(ICR, 0xC0050);
        try(plain_nops, 0, &on);
        taken("shorthand all but me");
        apic_write(0xD0, 0x04000000);
        apic_write(0xE0, 0xFFFFFFFF);
        apic_write(ICR_HIGH, 0x0C000000);
        apic_write(ICR, 0x850);
        try(plain_nops, 0, &on);
        taken("logical, flat, with my bit");
        end();
        apic_write(ICR_HIGH, 0x0B000000);
        apic_write(ICR, 0x850);
        try(plain_nops, 0, &on);
        taken("logical, flat, without my bit");
}

void interrupts(void)
{
        apic_write(SVR, 0x1FF);
        windows();
        priorities();
        nmis();
        timer();
        registers();
}
