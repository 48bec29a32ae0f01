/* Every exception that an instruction can raise, with its error code, the address
   that it leaves behind, and what comes first when there are several. */

#include "bare.h"

#define LINE(name, text) PIECE(name, text)

/* Benign ones and those of arithmetic. */
PIECE(divide, "xorl %ecx, %ecx\ndivl %ecx");
PIECE(divide_too_far, "movl $-1, %edx\nmovl $1, %ecx\ndivl %ecx");
PIECE(divide_signed, "movl $0x80000000, %eax\ncltd\nmovl $-1, %ecx\nidivl %ecx");
PIECE(breakpoint, "int3");
PIECE(breakpoint_long, ".byte 0xCD, 3");
PIECE(invalid, "ud2");
PIECE(invalid_one, ".byte 0x0F, 0xB9, 0xC0");
PIECE(no_into, ".byte 0xCE");
PIECE(no_push_es, ".byte 0x06");
PIECE(lock_register, ".byte 0xF0, 0x01, 0xC8");
PIECE(lock_compare, ".byte 0xF0, 0x39, 0x07");
PIECE(lock_nop, ".byte 0xF0, 0x90");
PIECE(mov_cs, ".byte 0x8E, 0xC8");
PIECE(mov_no_segment, ".byte 0x8E, 0xF0");
PIECE(mov_cr1, ".byte 0x0F, 0x20, 0xC8");
PIECE(lea_register, ".byte 0x8D, 0xC0");
PIECE(too_long, ".fill 15, 1, 0x66\n.byte 0x90");
PIECE(long_enough, ".fill 14, 1, 0x66\n.byte 0x90");

/* The coprocessor and SSE. */
PIECE(x87, "fld1");
PIECE(wait, ".byte 0x9B");
PIECE(sse, "xorps %xmm0, %xmm0");
PIECE(mmx, "pxor %mm0, %mm0");
PIECE(sse_unaligned, "movaps (%rdi), %xmm0");
PIECE(prefetch, "prefetchnta (%rdi)");
PIECE(store_fence, "sfence");
PIECE(crc, "crc32b %al, %ecx");
PIECE(sse_error, "pushq $0\nldmxcsr (%rsp)\nxorps %xmm0, %xmm0\ndivss %xmm0, %xmm0");
PIECE(x87_error, "fninit\npushq $0x340\nfldcw (%rsp)\nfldz\nfld1\nfdivp\nfwait\nnop");
PIECE(fix, "fninit\npushq $0x1F80\nldmxcsr (%rsp)");

/* Privileged instructions. */
PIECE(halt, "hlt");
PIECE(clear_if, "cli");
PIECE(set_if, "sti");
PIECE(in_byte, "inb $0x80, %al");
PIECE(out_byte, "outb %al, $0x80");
PIECE(read_msr, "movl $0xC0000080, %ecx\nrdmsr");
PIECE(write_msr, "movl $0xC0000103, %ecx\nxorl %eax, %eax\nxorl %edx, %edx\nwrmsr");
PIECE(read_cr0, "movq %cr0, %rax");
PIECE(read_cr8, "movq %cr8, %rax");
PIECE(read_dr7, "movq %db7, %rax");
PIECE(load_gdt, "lgdt (%rdi)");
PIECE(load_idt, "lidt (%rdi)");
PIECE(load_ldt, "xorl %eax, %eax\nlldt %ax");
PIECE(load_task, "movl $0x30, %eax\nltr %ax");
PIECE(load_status, "lmsw %ax");
PIECE(clear_ts, "clts");
PIECE(invalidate, "invlpg (%rdi)");
PIECE(write_back, "wbinvd");
PIECE(swap_gs, "swapgs\nswapgs");
PIECE(clear_ac, "clac");
PIECE(set_ac, "stac");
PIECE(system_return, "sysretq");
PIECE(read_counter, "movl $99, %ecx\nrdpmc");
PIECE(read_time, "rdtsc");
PIECE(read_time_id, "rdtscp");
PIECE(store_gdt, "sgdt -16(%rsp)");
PIECE(store_idt, "sidt -16(%rsp)");
PIECE(store_ldt, "sldt %eax");
PIECE(store_task, "str %eax");
PIECE(store_status, "smsw %eax");
PIECE(store_status_there, "smsw (%rdi)");

static const struct {
        const char *name, *piece;
} plain[] = {
    {"div by 0", divide},
    {"div too far", divide_too_far},
    {"idiv of the least number by -1", divide_signed},
    {"int3", breakpoint},
    {"int 3", breakpoint_long},
    {"ud2", invalid},
    {"ud1", invalid_one},
    {"into", no_into},
    {"push es", no_push_es},
    {"lock add to a register", lock_register},
    {"lock cmp", lock_compare},
    {"lock nop", lock_nop},
    {"mov to cs", mov_cs},
    {"mov to segment 6", mov_no_segment},
    {"mov from cr1", mov_cr1},
    {"lea of a register", lea_register},
    {"16 bytes", too_long},
    {"15 bytes", long_enough},
    {"movaps of an odd address", sse_unaligned},
    {"divss with exceptions on", sse_error},
    {"fdivp with exceptions on", x87_error},
    {"fninit", fix},
    {"hlt", halt},
    {"cli", clear_if},
    {"sti", set_if},
    {"in", in_byte},
    {"out", out_byte},
    {"rdmsr", read_msr},
    {"wrmsr", write_msr},
    {"mov from cr0", read_cr0},
    {"mov from cr8", read_cr8},
    {"mov from dr7", read_dr7},
    {"lgdt", load_gdt},
    {"lidt", load_idt},
    {"lldt", load_ldt},
    {"ltr", load_task},
    {"lmsw", load_status},
    {"clts", clear_ts},
    {"invlpg", invalidate},
    {"wbinvd", write_back},
    {"swapgs", swap_gs},
    {"clac", clear_ac},
    {"stac", set_ac},
    {"sysret", system_return},
    {"rdpmc", read_counter},
    {"rdtsc", read_time},
    {"rdtscp", read_time_id},
    {"sgdt", store_gdt},
    {"sidt", store_idt},
    {"sldt", store_ldt},
    {"str", store_task},
    {"smsw", store_status},
};

static void line(const char *what, const char *piece, int level, const struct setting *with)
{
        try(piece, level, with);
        say("%s level=%d: ", what, level);
        tell();
}

static void single(void)
{
        struct setting with = {.rdi = LAB_PAGE + 1};
        for (unsigned i = 0; i < sizeof plain / sizeof *plain; i++)
                line(plain[i].name, plain[i].piece, 3, &with);
        /* At level 0 those that do no harm. */
        for (unsigned i = 0; i < 22; i++)
                line(plain[i].name, plain[i].piece, 0, &with);
}

/* CR0.EM, CR0.TS, CR0.MP, CR4.OSFXSR decide about #NM and #UD. */
static void coprocessor(void)
{
        static const struct {
                const char *name, *piece;
        } units[] = {{"fld1", x87},   {"fwait", wait},          {"xorps", sse},        {"pxor mm", mmx},
                     {"prefetch", prefetch}, {"sfence", store_fence}, {"crc32", crc}};
        u64 cr0_before = cr0(), cr4_before = cr4();
        for (u64 bits = 0; bits < 16; bits++) {
                for (unsigned i = 0; i < sizeof units / sizeof *units; i++) {
                        set_cr0((cr0_before & ~14UL) | (bits & 7) << 1);
                        set_cr4(bits & 8 ? cr4_before & ~0x200UL : cr4_before);
                        try(units[i].piece, 3, 0);
                        set_cr0(cr0_before);
                        set_cr4(cr4_before);
                        say("%s em=%d ts=%d mp=%d osfxsr=%d: ", units[i].name, (u32)bits >> 1 & 1, (u32)bits >> 2 & 1,
                            (u32)bits & 1, !(bits & 8));
                        tell();
                }
        }
        set_cr4(cr4_before & ~0x400UL);
        line("divss without OSXMMEXCPT", sse_error, 3, 0);
        set_cr4(cr4_before);
        line("fninit", fix, 3, 0);
}

/* CR4.TSD, CR4.PCE and CR4.UMIP close instructions to programs. */
static void closed(void)
{
        static const struct {
                const char *name, *piece;
        } closable[] = {{"rdtsc", read_time}, {"rdtscp", read_time_id}, {"sgdt", store_gdt}, {"sidt", store_idt},
                        {"sldt", store_ldt},  {"str", store_task},      {"smsw", store_status}};
        u64 before = cr4();
        for (int bits = 0; bits < 4; bits++) {
                for (int level = 0; level <= 3; level += 3) {
                        for (unsigned i = 0; i < sizeof closable / sizeof *closable; i++) {
                                set_cr4(before | (bits & 1 ? CR4_TSD : 0) | (bits & 2 ? CR4_UMIP : 0));
                                try(closable[i].piece, level, 0);
                                set_cr4(before);
                                say("tsd=%d umip=%d %s level=%d: ", bits & 1, bits >> 1, closable[i].name, level);
                                tell();
                        }
                }
        }
        set_cr4(before | CR4_UMIP);
        struct setting with = {.rdi = LAB_PAGE + 0x2000};
        line("umip=1 smsw to a missing page", store_status_there, 3, &with);
        set_cr4(before);
        line("umip=0 smsw to a missing page", store_status_there, 3, &with);
}

/* Selectors: each kind of descriptor into each kind of register. */
PIECE(to_ds, "movl %eax, %ds");
PIECE(to_ss, "movl %eax, %ss");
PIECE(to_fs, "movl %eax, %fs\nxorl %eax, %eax\nmovl %eax, %fs");
PIECE(far_return, "pushq %rax\nleaq 1f(%rip), %rcx\npushq %rcx\nlretq\n1: nop");
PIECE(far_jump, "leaq 1f(%rip), %rcx\nsubq $16, %rsp\nmovl %ecx, (%rsp)\nmovl %eax, 4(%rsp)\nljmpl *(%rsp)\n1: nop");
PIECE(task_register, "ltr %ax");
PIECE(local_table, "lldt %ax");
PIECE(verify_read, "verr %ax\nsetz %cl\nmovzbl %cl, %eax");
PIECE(verify_write, "verw %ax\nsetz %cl\nmovzbl %cl, %eax");
PIECE(rights_of, "xorl %ecx, %ecx\nlarl %eax, %ecx\nmovl %ecx, %eax\nandl $0xF0FF00, %eax");
PIECE(limit_of, "xorl %ecx, %ecx\nlsll %eax, %ecx\nmovl %ecx, %eax");
PIECE(interrupt_return, "pushq $0x23\nleaq -8(%rsp), %rcx\npushq %rcx\npushq $2\npushq %rax\n"
                        "leaq 1f(%rip), %rcx\npushq %rcx\niretq\n1: nop");
PIECE(return_to_stack, "movq %rsp, %rcx\npushq %rax\npushq %rcx\npushq $2\npushq $0x2B\n"
                       "leaq 1f(%rip), %rcx\npushq %rcx\niretq\n1: nop");

static void selectors(void)
{
        static const struct {
                const char *name, *piece;
                int reads; /* the piece leaves a value in eax */
        } uses[] = {{"mov to ds", to_ds, 0},       {"mov to ss", to_ss, 0},     {"mov to fs", to_fs, 0},
                    {"lret", far_return, 0},       {"ljmp", far_jump, 0},       {"lldt", local_table, 0},
                    {"verr", verify_read, 1},      {"verw", verify_write, 1},   {"lar", rights_of, 1},
                    {"lsl", limit_of, 1},          {"iret to cs", interrupt_return, 0},
                    {"iret to ss", return_to_stack, 0}};
        for (int level = 0; level <= 3; level += 3) {
                for (unsigned i = 0; i < sizeof uses / sizeof *uses; i++) {
                        for (u64 selector = 0; selector <= 0x84; selector++) {
                                /* RPL 0 and 3 of each entry, and one of the local table. */
                                if ((selector & 7) != 0 && (selector & 7) != 3 && selector != 0x0C)
                                        continue;
                                /* Compatibility mode is another family's. */
                                u64 kind = selector & ~7UL;
                                int moves = uses[i].piece == far_return || uses[i].piece == far_jump ||
                                            uses[i].piece == interrupt_return;
                                if (moves && (kind == 0x18 || kind == 0x40 || kind == 0x30))
                                        continue;
                                if (kind == 0x38)
                                        continue;
                                struct setting with = {.rax = selector};
                                try(uses[i].piece, level, &with);
                                say("%s %x level=%d: ", uses[i].name, selector, level);
                                if (uses[i].reads && trap_words.vector == DONE)
                                        say("%x ", trap_gpr[0]);
                                if (trap_words.vector == DONE && moves)
                                        say("cs %x ", trap_words.cs);
                                tell();
                        }
                }
        }
        line("ltr of a busy task", task_register, 0, &(struct setting){.rax = TASK});
        line("ltr of nothing", task_register, 0, &(struct setting){.rax = 0});
        line("ltr of data", task_register, 0, &(struct setting){.rax = 0x10});
        line("ltr beyond the table", task_register, 0, &(struct setting){.rax = 0x80});
}

/* Gates. */
PIECE(int_40, "int $0x40");
PIECE(int_0e, "int $14");
PIECE(int_08, "int $8");
PIECE(int_f0, "int $0xF0");

static void gates(void)
{
        u64 handler = (u64)stubs + 16 * 0x40;
        static const struct {
                const char *name;
                int selector, type, ist;
        } gate[] = {{"interrupt gate of level 3", KERNEL_CODE, 0xEE, 0},
                    {"trap gate of level 3", KERNEL_CODE, 0xEF, 0},
                    {"interrupt gate of level 0", KERNEL_CODE, 0x8E, 0},
                    {"gate that is not present", KERNEL_CODE, 0x6E, 0},
                    {"gate of level 0 that is not present", KERNEL_CODE, 0x0E, 0},
                    {"gate of type 5", KERNEL_CODE, 0xE5, 0},
                    {"gate of type 12", KERNEL_CODE, 0xEC, 0},
                    {"gate of type 0", KERNEL_CODE, 0xE0, 0},
                    {"gate of 16 bits", KERNEL_CODE, 0xE6, 0},
                    {"gate with a null selector", 0, 0xEE, 0},
                    {"gate to data", KERNEL_DATA, 0xEE, 0},
                    {"gate beyond the table", 0xFF8, 0xEE, 0},
                    {"gate to user's code", USER_CODE, 0xEE, 0},
                    {"gate to 32-bit code", 0x40, 0xEE, 0},
                    {"gate to code that is not present", 0x70, 0xEE, 0},
                    {"gate with L and D", 0x68, 0xEE, 0},
                    {"gate with IST 1", KERNEL_CODE, 0xEE, 1}};
        for (unsigned i = 0; i < sizeof gate / sizeof *gate; i++) {
                for (int level = 0; level <= 3; level += 3) {
                        /* The handler could not go back from level 3. */
                        if (gate[i].selector == USER_CODE && level == 3)
                                continue;
                        set_gate(0x40, handler, (u16)gate[i].selector, gate[i].type, gate[i].ist);
                        try(int_40, level, 0);
                        say("int through a %s level=%d: pushed cs %x ss %x rflags %x, rsp & 15 is %x, ", gate[i].name,
                            level, trap_words.cs, trap_words.ss, trap_words.rflags & ~0x100FDUL, trap_frame & 15);
                        tell();
                }
        }
        set_gate(0x40, 0x800000000000, KERNEL_CODE, 0xEE, 0);
        line("int through a gate to no canonical address", int_40, 3, 0);
        set_gate(0x40, handler, KERNEL_CODE, 0x8E, 0);
        line("int 14", int_0e, 3, 0);
        line("int 8", int_08, 3, 0);
        set_gate(14, (u64)stubs + 16 * 14, KERNEL_CODE, 0xEE, 0);
        struct {
                u16 limit;
                u64 base;
        } __attribute__((packed)) idtr = {0xEFF, (u64)idt}, whole = {sizeof idt - 1, (u64)idt};
        asm volatile("lidt %0" : : "m"(idtr));
        line("int beyond the table", int_f0, 3, 0);
        line("int beyond the table", int_f0, 0, 0);
        asm volatile("lidt %0" : : "m"(whole));
        set_gate(14, (u64)stubs + 16 * 14, KERNEL_CODE, 0x8E, 0);
}

/* Faults on the way to a handler: which make a double fault and which are served
   in its place. The gate of the first is broken in several ways. */
PIECE(load_missing_segment, "movl $0x48, %eax\nmovl %eax, %ds");
PIECE(load_no_segment, "movl $0xFF8, %eax\nmovl %eax, %ds");
PIECE(load_missing_stack, "movl $0x48, %eax\nmovl %eax, %ss");
PIECE(read_there, "movb (%rdi), %al");

static void doubles(void)
{
        static const struct {
                const char *name, *piece;
                int vector;
        } first[] = {{"#DE", divide, 0},           {"#BP", breakpoint, 3},       {"#UD", invalid, 6},
                     {"#NP", load_missing_segment, 11}, {"#SS", load_missing_stack, 12}, {"#GP", load_no_segment, 13},
                     {"#PF", read_there, 14}};
        static const struct {
                const char *name;
                int selector, type;
        } broken[] = {{"missing gate (#NP)", KERNEL_CODE, 0x6E},
                      {"bad type (#GP)", KERNEL_CODE, 0xE5},
                      {"missing segment (#NP)", 0x70, 0xEE},
                      {"null selector (#GP)", 0, 0xEE}};
        struct setting with = {.rdi = LAB_PAGE + 0x2000};
        for (unsigned i = 0; i < sizeof first / sizeof *first; i++) {
                for (unsigned k = 0; k < sizeof broken / sizeof *broken; k++) {
                        int v = first[i].vector;
                        u64 handler = (u64)stubs + 16 * v;
                        /* The second is delivered by its own gate, if that is another. */
                        if (v == (broken[k].name[0] == 'm' ? 11 : 13))
                                continue;
                        set_gate(v, handler, (u16)broken[k].selector, broken[k].type, 0);
                        try(first[i].piece, 0, &with);
                        set_gate(v, handler, KERNEL_CODE, v == 3 ? 0xEE : 0x8E, 0);
                        say("%s through a %s: ", first[i].name, broken[k].name);
                        tell();
                }
                /* A stack that is not there: a page fault on the way. */
                u64 stack = *(u64 *)(task + 4);
                set_gate(8, (u64)stubs + 16 * 8, KERNEL_CODE, 0x8E, 1);
                set_gate(14, (u64)stubs + 16 * 14, KERNEL_CODE, 0x8E, 1);
                int v = first[i].vector;
                if (v != 14) {
                        *(u64 *)(task + 4) = LAB_PAGE + 0x4000;
                        try(first[i].piece, 3, &with);
                        say("%s onto a missing stack (#PF): ", first[i].name);
                        tell();
                        *(u64 *)(task + 4) = 0x800000000000;
                        set_gate(12, (u64)stubs + 16 * 12, KERNEL_CODE, 0x8E, 1);
                        if (v != 12) {
                                try(first[i].piece, 3, &with);
                                say("%s onto a stack that is not canonical (#SS): ", first[i].name);
                                tell();
                        }
                        set_gate(12, (u64)stubs + 16 * 12, KERNEL_CODE, 0x8E, 0);
                } else {
                        set_gate(14, (u64)stubs + 16 * 14, KERNEL_CODE, 0x8E, 0);
                        *(u64 *)(task + 4) = LAB_PAGE + 0x4000;
                        try(first[i].piece, 3, &with);
                        say("%s onto a missing stack (#PF): ", first[i].name);
                        tell();
                }
                *(u64 *)(task + 4) = stack;
                set_gate(8, (u64)stubs + 16 * 8, KERNEL_CODE, 0x8E, 0);
                set_gate(14, (u64)stubs + 16 * 14, KERNEL_CODE, 0x8E, 0);
        }
}

/* Alignment checks. */
PIECE(read_word, "movw (%rdi), %ax");
PIECE(read_long, "movl (%rdi), %eax");
PIECE(read_quad_there, "movq (%rdi), %rax");
PIECE(read_ten, "fldt (%rdi)\nfstp %st(0)");
PIECE(push_quad, "movq %rdi, %rsp\npushq %rax");
PIECE(push_word, "movq %rdi, %rsp\npushw %ax");
PIECE(read_sixteen, "movups (%rdi), %xmm0");
PIECE(exchange_eight, "cmpxchg8b (%rdi)");

static void alignment(void)
{
        static const struct {
                const char *name, *piece;
        } pieces[] = {{"movw", read_word},   {"movl", read_long},   {"movq", read_quad_there}, {"fldt", read_ten},
                      {"pushq", push_quad},  {"pushw", push_word}, {"movups", read_sixteen}, {"cmpxchg8b", exchange_eight}};
        u64 before = cr0();
        for (int bits = 0; bits < 4; bits++) {
                for (int level = 0; level <= 3; level += 3) {
                        for (unsigned i = 0; i < sizeof pieces / sizeof *pieces; i++) {
                                for (u64 at = 0; at < 16; at = at ? at << 1 : 1) {
                                        if (bits != 3 && at != 1)
                                                continue;
                                        set_cr0(bits & 1 ? before | CR0_AM : before & ~(u64)CR0_AM);
                                        struct setting with = {.rdi = LAB_PAGE + 0x40 + at,
                                                               .rflags = bits & 2 ? FLAG_AC : 0};
                                        /* The end of a piece would push onto an odd stack. */
                                        if (level == 0 && pieces[i].piece == push_word)
                                                continue;
                                        if (level == 0 && pieces[i].piece == push_quad)
                                                continue;
                                        try(pieces[i].piece, level, &with);
                                        say("am=%d ac=%d level=%d %s at +%x: ", bits & 1, bits >> 1, level,
                                            pieces[i].name, at);
                                        tell();
                                }
                        }
                }
        }
        set_cr0(before);
        /* A page fault comes before or after? Missing page, odd address. */
        set_cr0(before | CR0_AM);
        struct setting with = {.rdi = LAB_PAGE + 0x2001, .rflags = FLAG_AC};
        line("odd address in a missing page", read_quad_there, 3, &with);
        set_cr0(before);
}

/* What comes first. */
PIECE(lock_there, ".byte 0xF0, 0x8B, 0x07");
PIECE(sse_there, "movaps (%rdi), %xmm0");
PIECE(divide_there, "xorl %eax, %eax\nxorl %edx, %edx\ndivl (%rdi)");
PIECE(pop_ss, "popq %rcx\nmovl $0xFF8, %eax\nmovl %eax, (%rsp)\n.byte 0x8E, 0x17");
PIECE(in_string, "movl $0x3F8, %edx\ninsb");
PIECE(mov_cr0_bad, "movl $0x80000000, %eax\nmovq %rax, %cr0");

static void priorities(void)
{
        u64 before = cr0();
        struct setting with = {.rdi = LAB_PAGE + 0x2001};
        line("lock mov from a missing page", lock_there, 3, &with);
        line("movaps of an odd address in a missing page", sse_there, 3, &with);
        line("div by a missing page", divide_there, 3, &with);
        line("ins at level 3 into a missing page", in_string, 3, &with);
        line("ins at level 0 into a missing page", in_string, 0, &with);
        line("mov to cr0 at level 3 of a bad value", mov_cr0_bad, 3, &with);
        line("lgdt at level 3 from a missing page", load_gdt, 3, &with);
        line("lgdt at level 0 from a missing page", load_gdt, 0, &with);
        line("invlpg at level 0 of a missing page", invalidate, 0, &with);
        set_cr0(before | CR0_TS);
        line("movaps with TS of an odd address in a missing page", sse_there, 3, &with);
        set_cr0(before | CR0_EM | CR0_TS);
        line("movaps with EM and TS", sse_there, 3, &with);
        set_cr0(before);
        with.rdi = 0x800000000001;
        line("movaps of an odd address that is not canonical", sse_there, 3, &with);
}

void faults(void)
{
        lab_frames[0][0] = 0xC3;
        single();
        coprocessor();
        closed();
        gates();
        doubles();
        alignment();
        priorities();
}

void segments(void)
{
        selectors();
}
