/* Real mode, and protected mode with code of 16 and 32 bits, at levels 0 and 3. QEMU looks at
   no limits of segments, so no case here reaches for one. */

#include "bare.h"

enum kind { LEVEL0 = 0, BITS16 = 2, LEVEL3 = 3, REAL_MODE = 16 };

/* What modes.S reads and writes. */
struct job {
        u32 kind, ip, eflags, eax, ebx, ecx, edx, esi, edi;
};
struct trap {
        u32 vector, ds, eax, ebx, ecx, edx, esi, edi, ebp, esp, ss, words[8];
};
extern struct job job, real_job;
extern struct trap trap;
extern u64 legacy_gdt[], legacy_idt[];
extern u8 legacy_task[104], legacy_stack_top[], legacy_stubs[], real_stubs[];
extern u8 real_start[], real_end[], gate_target[], gate_return[];
void legacy(void);

#define REAL 0x10000UL /* where modes.S has it too */

static u64 gate(u64 selector, const u8 *offset, u64 kind, u64 count)
{
        u64 at = (u64)offset;
        return (at & 0xFFFF) | selector << 16 | count << 32 | kind << 40 | at >> 16 << 48;
}

static void legacy_tables(void)
{
        u64 base = (u64)legacy_task;
        legacy_gdt[5] = 103 | (base & 0xFFFFFF) << 16 | 0x89UL << 40 | (base >> 24 & 0xFF) << 56;
        legacy_gdt[16] = gate(0x08, gate_target, 0xEC, 2);
        legacy_gdt[17] = gate(0x08, gate_return, 0xEC, 2);
        legacy_gdt[18] = gate(0x08, gate_target, 0x8C, 0);
        legacy_gdt[19] = gate(0x08, gate_target, 0x6C, 0);
        legacy_gdt[20] = gate(0x10, gate_target, 0xEC, 0);
        legacy_gdt[21] = gate(0x40, gate_target, 0xEC, 0);
        *(u32 *)(legacy_task + 4) = (u32)(u64)legacy_stack_top;
        *(u32 *)(legacy_task + 8) = 0x10;
        *(u16 *)(legacy_task + 102) = 104;
        for (int i = 0; i < 0x90; i++)
                legacy_idt[i] = gate(0x08, legacy_stubs + 16 * i, i == 0x80 ? 0xEE : 0x8E, 0);
        legacy_idt[0x41] = gate(0x08, legacy_stubs + 16 * 0x41, 0xEF, 0);
        legacy_idt[0x42] = gate(0x08, legacy_stubs + 16 * 0x42, 0x6E, 0);
        legacy_idt[0x43] = 0;
        legacy_idt[0x44] = gate(0x60, legacy_stubs, 0xEE, 0);
        legacy_idt[0x45] = gate(0, legacy_stubs, 0xEE, 0);
        legacy_idt[0x46] = gate(0x10, legacy_stubs, 0xEE, 0);
        for (u32 i = 0; i < 0x30; i++)
                *(u32 *)(REAL + 0x6000 + 4 * i) = (u32)(REAL >> 4) << 16 | (u32)(real_stubs - real_start + 8 * i);
}

#define PIECES(X)                                                                                                      \
        X(r_int) X(r_ud2) X(r_divide) X(r_into) X(r_bound) X(r_iret) X(r_call_far) X(r_retf) X(r_jump_far) X(r_pusha)  \
        X(r_pushad) X(r_segments) X(r_les) X(r_wrap) X(r_addresses) X(r_protected_only) X(r_arpl) X(r_smsw)            \
        X(r_sgdt) X(r_loop) X(r_strings) X(r_enter) X(r_call) X(r_call32) X(p_int3) X(p_int) X(p_int_trap)             \
        X(p_int_absent) X(p_int_none) X(p_int_beyond) X(p_int_conforming) X(p_int_null) X(p_int_data) X(p_int_open)    \
        X(p_ud2) X(p_into) X(p_bound) X(p_cli) X(p_hlt) X(p_in) X(p_lgdt) X(p_load_ds) X(p_load_ss) X(p_pop_es)        \
        X(p_jump_far) X(p_call_far) X(p_gate_and_back) X(p_return) X(p_iret) X(p_ltr) X(p_lldt) X(p_lar) X(p_arpl)     \
        X(p_pushes) X(p_popa) X(p_enter) X(p_address16) X(p_sgdt16) X(p_far16)
#define DECLARE(name) extern const u8 name[];
PIECES(DECLARE)

/* QEMU sets no RF in the image of EFLAGS that a fault pushes (the manual does: SDM 3B, 17.3.1.1);
   whatever looks like one is shown without. */
static u32 without_rf(u32 word)
{
        return (word & 0xFFFC8002) == 2 ? word & ~(1U << 16) : word;
}

/* Runs a piece and says what its registers and its handler's stack were. */
static void run(enum kind kind, const char *name, const u8 *piece, u32 eflags, u32 eax, u32 ebx)
{
        for (u8 *from = real_start, *to = (u8 *)REAL; from < real_end;)
                *to++ = *from++;
        u32 ip = (u32)(u64)piece - (kind & (BITS16 | REAL_MODE) && kind != LEVEL3 ? (u32)(u64)real_start : 0);
        struct job wanted = {kind, ip, eflags | 2, eax, ebx, 3, 4, 5, 6};
        job = wanted;
        *(struct job *)(REAL + ((u8 *)&real_job - real_start)) = wanted;
        struct {
                u16 limit;
                u64 base;
        } __attribute__((packed)) idtr;
        asm volatile("sidt %0" : "=m"(idtr));
        legacy();
        gdt[6] &= ~(2UL << 40);
        asm volatile("lidt %0; ltr %w1" : : "m"(idtr), "r"(TASK));
        say("%s %s(%x, %x): %x;", kind == REAL_MODE ? "real" : kind == BITS16 ? "16 bits" : kind == LEVEL3 ? "level 3" : "level 0",
            name, (u64)eax, (u64)ebx, (u64)trap.vector);
        for (const u32 *word = &trap.eax; word <= &trap.ss; word++)
                say(" %x", (u64)*word);
        say(";");
        for (int i = 0; i < 8; i++)
                say(" %x", (u64)without_rf(trap.words[i]));
        say("\n");
}

#define RUN(kind, name, flags, eax, ebx) run(kind, &#name[2], name, flags, eax, ebx)

static void real(void)
{
        const u8 *const pieces[] = {r_int,      r_ud2,   r_divide,    r_into,           r_bound, r_iret, r_call_far, r_retf,
                                    r_jump_far, r_pusha, r_pushad,    r_segments,       r_les,   r_wrap, r_addresses,
                                    r_protected_only,    r_arpl,      r_smsw,           r_sgdt,  r_loop, r_strings,
                                    r_enter,    r_call,  r_call32};
        static const char *const names[] = {"int", "ud2", "divide", "into", "bound", "iret", "far call", "retf", "far jump",
                                            "pusha", "pushad", "segments", "les", "wrap", "addresses", "lldt", "arpl",
                                            "smsw", "sgdt", "loop", "strings", "enter", "call", "call32"};
        for (unsigned i = 0; i < sizeof pieces / sizeof *pieces; i++)
                run(REAL_MODE, names[i], pieces[i], 0x40, 0xAAAA1111, 0xBBBB2222);
        RUN(BITS16, r_ud2, 0, 1, 2);
        RUN(BITS16, r_pusha, 0, 1, 2);
        RUN(BITS16, r_pushad, 0, 1, 2);
        RUN(BITS16, r_loop, 0, 1, 2);
        RUN(BITS16, r_enter, 0, 1, 2);
        RUN(BITS16, r_call, 0, 1, 2);
        RUN(BITS16, r_call32, 0, 1, 2);
        RUN(BITS16, r_arpl, 0, 1, 2);
}

static void events(enum kind kind)
{
        RUN(kind, p_int3, 0, 0, 0);
        RUN(kind, p_int, 0, 0, 0);
        RUN(kind, p_int_trap, FLAG_IF, 0, 0);
        RUN(kind, p_int_absent, 0, 0, 0);
        RUN(kind, p_int_none, 0, 0, 0);
        RUN(kind, p_int_beyond, 0, 0, 0);
        RUN(kind, p_int_conforming, 0, 0, 0);
        RUN(kind, p_int_null, 0, 0, 0);
        RUN(kind, p_int_data, 0, 0, 0);
        RUN(kind, p_int_open, FLAG_IF, 0, 0);
        RUN(kind, p_ud2, 0x0CD5, 0, 0);
        RUN(kind, p_into, 0, 0, 0);
        RUN(kind, p_bound, 0, 6, 0);
        RUN(kind, p_bound, 0, -5, 0);
        if (kind == LEVEL3) {
                RUN(kind, p_cli, 0, 0, 0);
                RUN(kind, p_cli, 3 << 12, 0, 0);
                RUN(kind, p_hlt, 0, 0, 0);
                RUN(kind, p_in, 0, 0, 0);
                RUN(kind, p_lgdt, 0, 0, 0);
        }
}

static void selectors(enum kind kind)
{
        for (u32 selector = 0; selector < 0xC0; selector++) {
                if ((selector & 3) == 1 || (selector & 3) == 2)
                        continue;
                RUN(kind, p_load_ds, 0, selector, 0);
                RUN(kind, p_load_ss, 0, selector, 0);
                RUN(kind, p_pop_es, 0, selector, 0);
                RUN(kind, p_lar, 0, selector, 0);
                if (selector >> 3 == 5)
                        continue; /* the task */
                RUN(kind, p_jump_far, 0, selector, 0);
                RUN(kind, p_call_far, 0, selector, 0);
                if (selector >> 3 == 6)
                        continue; /* the offset is beyond its limit */
                RUN(kind, p_return, 0, selector, kind == LEVEL3 ? 0x23 : 0x10);
                RUN(kind, p_iret, 0, selector, selector & 3 ? 0x23 : 0x10);
                if (kind == LEVEL0) {
                        RUN(kind, p_ltr, 0, selector, 0);
                        RUN(kind, p_lldt, 0, selector, 0);
                }
        }
        RUN(kind, p_load_ds, 0, 0x4, 0);
        RUN(kind, p_load_ds, 0, 0xFFF8, 0);
        RUN(kind, p_iret, 0, 0x1B, 0x10);
        RUN(kind, p_iret, 0, 0x1B, 0x20);
        RUN(kind, p_iret, 0, 0x1B, 0);
        RUN(kind, p_return, 0, 0x1B, 0x23);
        RUN(kind, p_gate_and_back, 0, 0, 0);
        RUN(kind, p_arpl, 0, 0x10, 0x3);
        RUN(kind, p_arpl, 0, 0x13, 0x3);
}

static void words(void)
{
        RUN(LEVEL0, p_pushes, 0x0CD5, 1, 2);
        RUN(LEVEL0, p_popa, 0, 1, 2);
        RUN(LEVEL0, p_enter, 0, 1, 2);
        RUN(LEVEL0, p_address16, 0, 1, 0xFFFF);
        RUN(LEVEL0, p_sgdt16, 0, 1, 2);
        RUN(LEVEL0, p_far16, 0, 1, 2);
}

void modes(void)
{
        legacy_tables();
        real();
        events(LEVEL0);
        events(LEVEL3);
        selectors(LEVEL0);
        selectors(LEVEL3);
        words();
}
