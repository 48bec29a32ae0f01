/* Control registers and model-specific ones: what they hold, and what they refuse. */

#include "bare.h"

PIECE(to_cr0, "movq %rdi, %cr0\nmovq %cr0, %rax\nmovq %rbx, %cr0");
PIECE(to_cr3, "movq %cr3, %rbx\nmovq %rdi, %cr3\nmovq %cr3, %rax\nmovq %rbx, %cr3");
PIECE(to_cr4, "movq %cr4, %rbx\nmovq %rdi, %cr4\nmovq %cr4, %rax\nmovq %rbx, %cr4");
PIECE(to_cr8, "movq %rdi, %cr8\nmovq %cr8, %rax\nxorl %edi, %edi\nmovq %rdi, %cr8");
PIECE(to_msr, "movl %esi, %ecx\nmovl %edi, %eax\nmovq %rdi, %rdx\nshrq $32, %rdx\nwrmsr\n"
              "xorl %eax, %eax\nxorl %edx, %edx\nrdmsr\nshlq $32, %rdx\norq %rdx, %rax");
PIECE(from_msr, "movl %esi, %ecx\nrdmsr\nshlq $32, %rdx\norq %rdx, %rax");
PIECE(to_status, "movq %cr0, %rbx\nlmsw %di\nmovq %cr0, %rax\nmovq %rbx, %cr0");
PIECE(status, "smsw %rax");
PIECE(status_16, "movq $-1, %rax\nsmsw %ax");

static void answer(void)
{
        if (trap_words.vector == DONE)
                say("%x ", trap_gpr[0]);
        tell();
}

static void cr0_bits(void)
{
        /* PE and PG are the way out of here; CD and NW do nothing that is seen. */
        static const int known[] = {1, 2, 3, 4, 5, 16, 18, 29, 30};
        for (unsigned i = 0; i < sizeof known / sizeof *known; i++) {
                int bit = known[i];
                struct setting with = {.rdi = cr0() ^ 1UL << bit, .rbx = cr0()};
                try(to_cr0, 0, &with);
                say("cr0 with bit %d changed: ", bit);
                answer();
        }
        for (u64 value = 0; value < 16; value++) {
                try(to_status, 0, &(struct setting){.rdi = value});
                say("lmsw %x: ", value);
                answer();
        }
        try(status, 0, 0);
        say("smsw: ");
        answer();
        try(status_16, 0, 0);
        say("smsw of 16 bits: ");
        answer();
}

static void cr3_and_cr4(void)
{
        for (int bit = 3; bit < 5; bit++) {
                try(to_cr3, 0, &(struct setting){.rdi = cr3() | 1UL << bit});
                say("cr3 with bit %d: %x ", bit, trap_gpr[0] ^ cr3());
                tell();
        }
        for (int bit = 0; bit < 11; bit++) {
                /* There is no virtual-8086 mode, and no machine check; without PAE we were lost. */
                if (bit == 0 || bit == 1 || bit == 5 || bit == 6)
                        continue;
                try(to_cr4, 0, &(struct setting){.rdi = cr4() ^ 1UL << bit});
                say("cr4 with bit %d changed: ", bit);
                answer();
        }
        for (u64 value = 0; value < 18; value++) {
                try(to_cr8, 0, &(struct setting){.rdi = value});
                say("cr8 %x: ", value);
                answer();
        }
}

static void registers(void)
{
        static const struct {
                const char *name;
                u32 number;
                u64 values[4];
        } msrs[] = {
            {"STAR", 0xC0000081, {0, 0x0018000800000000, ~0UL, 1}},
            {"LSTAR", 0xC0000082, {0, 0x7FFFFFFFFFFF, 0xFFFF800000000000, 0x12345678}},
            {"CSTAR", 0xC0000083, {0, 0x7FFFFFFFFFFF, 0xFFFF800000000000, 0x12345678}},
            {"FMASK", 0xC0000084, {0, 0x47700, 0x200, 0xFFFFFFFF}},
            {"FS base", 0xC0000100, {0, 0x7FFFFFFFFFFF, 0xFFFF800000000000, 0x1234}},
            {"GS base", 0xC0000101, {0, 0x7FFFFFFFFFFF, 0xFFFF800000000000, 0x1234}},
            {"kernel GS base", 0xC0000102, {0, 0x7FFFFFFFFFFF, 0xFFFF800000000000, 0x1234}},
            {"TSC aux", 0xC0000103, {0, 1, 0x7FFFFFFF, 0xFFFFFFFF}},
            {"PAT", 0x277, {0, 0x0007040600070406, 0x0106050400010604, 0x0007010600070106}},
            {"MTRR default", 0x2FF, {0, 6, 0xC06, 0x800}},
            {"MTRR base 0", 0x200, {0, 6, 0x80000006, 0x1000}},
            {"MTRR mask 0", 0x201, {0, 0x800, 0xFF80000800, 0}},
            {"MTRR base 7", 0x20E, {0, 6, 0x80000006, 0}},
            {"MTRR mask 7", 0x20F, {0, 0x800, 0xFF80000800, 0}},
            {"MTRR 64 KiB", 0x250, {0, 0x0606060606060606, 0x0105040606050401, 0}},
            {"MTRR 16 KiB", 0x259, {0, 0x0606060606060606, 0x0105040606050401, 0}},
            {"MTRR 4 KiB", 0x26F, {0, 0x0606060606060606, 0x0105040606050401, 0}},
        };
        for (unsigned i = 0; i < sizeof msrs / sizeof *msrs; i++)
                for (unsigned k = 0; k < 4; k++) {
                        try(to_msr, 0, &(struct setting){.rsi = msrs[i].number, .rdi = msrs[i].values[k]});
                        say("%s of %x: ", msrs[i].name, msrs[i].values[k]);
                        answer();
                }
        wrmsr(0x2FF, 0);
        wrmsr(0x277, 0x0007040600070406);
        try(from_msr, 0, &(struct setting){.rsi = 0xFE});
        say("MTRR capabilities: ");
        answer();
        try(from_msr, 0, &(struct setting){.rsi = 0xC0000080});
        say("EFER: ");
        answer();
        try(to_msr, 0, &(struct setting){.rsi = 0xC0000080, .rdi = rdmsr(0xC0000080) ^ 1});
        say("EFER without SCE: ");
        answer();
        try(to_msr, 0, &(struct setting){.rsi = 0xC0000080, .rdi = rdmsr(0xC0000080) | 0x401});
        say("EFER as it was: ");
        answer();
}

/* SYSCALL and SYSRET: what they do with selectors, flags and registers. */
PIECE(call_system, "syscall\nnop");
PIECE(return_32, "sysretl");
PIECE(return_64, "sysretq");
PIECE(landing, "nop");

static void system_calls(void)
{
        /* From here: kernel 08 and 10; back: 1b + 16 = 2b, 1b + 8 = 23. */
        wrmsr(0xC0000081, 0x001B000800000000);
        wrmsr(0xC0000082, (u64)landing);
        wrmsr(0xC0000084, 0x600);
        for (int level = 0; level <= 3; level += 3) {
                try(call_system, level, &(struct setting){.rflags = 0xCD5 | 1 << 9});
                say("syscall level=%d: cs %x ss %x flags %x rcx +%d vector %x\n", level, trap_words.cs, trap_words.ss,
                    trap_words.rflags, (u32)(trap_gpr[2] & 63), trap_words.vector);
        }
        u64 there = LAB_CODE + (u64)(landing - pieces_start);
        try(return_64, 0, &(struct setting){.rcx = there, .rsp = LAB_STACK + 0x800});
        say("sysretq: cs %x ss %x vector %x\n", trap_words.cs, trap_words.ss, trap_words.vector);
        try(return_64, 0, &(struct setting){.rcx = 0x800000000000});
        say("sysretq to no canonical address: ");
        tell();
        try(return_64, 3, &(struct setting){.rcx = there});
        say("sysretq at level 3: ");
        tell();
        wrmsr(0xC0000080, rdmsr(0xC0000080) & ~1UL);
        try(call_system, 3, 0);
        say("syscall without SCE: ");
        tell();
        try(return_64, 0, &(struct setting){.rcx = there});
        say("sysretq without SCE: ");
        tell();
        try(return_64, 3, &(struct setting){.rcx = there});
        say("sysretq without SCE at level 3: ");
        tell();
        wrmsr(0xC0000080, rdmsr(0xC0000080) | 1);
}

void control(void)
{
        cr0_bits();
        cr3_and_cr4();
        registers();
        system_calls();
}

/* The end of everything: a fault whose handler, and whose double fault's, cannot
   be entered. Nothing is said after that. */
PIECE(last, "ud2");

void triple(void)
{
        say("a triple fault: nothing follows\n");
        for (int i = 0; i < 256; i++)
                set_gate(i, 0, 0, 0, 0);
        try(last, 0, 0);
        say("something followed\n");
}
