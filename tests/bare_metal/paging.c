/* Rights of pages in all combinations, reserved bits, accessed and dirty bits,
   large pages, accesses that cross pages. */

#include "bare.h"

PIECE(read_byte, "movb (%rdi), %al");
PIECE(write_byte, "movb %al, (%rdi)");
PIECE(call_there, "call *%rdi");

static const struct {
        const char *name, *piece;
} accesses[] = {{"read", read_byte}, {"write", write_byte}, {"fetch", call_there}};

/* One line: an access to an address of the lab. The frame holds a RET. */
static void one(const char *access, const char *piece, int level, u64 at, u64 rflags)
{
        struct setting with = {.rdi = at, .rflags = rflags, .rax = 0xC3};
        try(piece, level, &with);
        /* A fetch that is refused is at the address itself. */
        say(" %s: ", access);
        tell();
}

static void set_wp(int on)
{
        set_cr0(on ? cr0() | CR0_WP : cr0() & ~(u64)CR0_WP);
}

static void set_smep_smap(int smep, int smap)
{
        set_cr4((cr4() & ~(u64)(CR4_SMEP | CR4_SMAP)) | (smep ? CR4_SMEP : 0) | (smap ? CR4_SMAP : 0));
}

static void rights(void)
{
        for (u64 n = 0; n < 8; n++) {
                u64 leaf = P | (n & 1 ? W : 0) | (n & 2 ? U : 0) | (n & 4 ? NX : 0);
                lab_table[0] = (u64)lab_frames[0] | leaf;
                for (int mode = 0; mode < 8; mode++) {
                        set_wp(mode & 1);
                        set_smep_smap(mode & 2, mode & 4);
                        for (int who = 0; who < 3; who++) {
                                for (int i = 0; i < 3; i++) {
                                        invlpg(LAB_PAGE);
                                        say("rights %s%s%s wp=%d smep=%d smap=%d level=%d ac=%d", n & 1 ? "W" : "-",
                                            n & 2 ? "U" : "-", n & 4 ? "NX" : "-", mode & 1, mode >> 1 & 1,
                                            mode >> 2 & 1, who == 2 ? 3 : 0, who & 1);
                                        one(accesses[i].name, accesses[i].piece, who == 2 ? 3 : 0, LAB_PAGE,
                                            who == 1 ? FLAG_AC : 0);
                                }
                        }
                }
        }
        set_wp(1);
        set_smep_smap(0, 0);
        lab_reset();
}

/* All three accesses at both levels. */
static void all(const char *what, const char *how, u64 at)
{
        for (int level = 0; level <= 3; level += 3) {
                for (int i = 0; i < 3; i++) {
                        set_cr3(cr3());
                        say("%s%s level=%d", what, how, level);
                        one(accesses[i].name, accesses[i].piece, level, at, 0);
                }
        }
}

/* The entries on the way to LAB_PAGE, from the root. */
static u64 *const way[] = {&root_table[1], &lab_pointers[0], &lab_directory[2], &lab_table[0]};
static const char *const levels[] = {"PML4E", "PDPTE", "PDE", "PTE"};

/* Rights of each level count: U/S and R/W must be given by all, and XD by none. */
static void upper_levels(void)
{
        static const struct {
                const char *name;
                u64 clear, set;
        } changes[] = {{" without U", U, 0},  {" without W", W, 0}, {" without P", P, 0},
                       {" with XD", 0, NX},   {" with G", 0, G},    {" with bit 51", 0, 1UL << 51},
                       {" with ignored bits", 0, 7UL << 9 | 1UL << 52 | 3UL << 3}};
        for (int level = 0; level < 3; level++) {
                for (unsigned i = 0; i < sizeof changes / sizeof *changes; i++) {
                        /* Other pages share the upper entries; user code has to run. */
                        u64 before = *way[level];
                        if (level < 2 && changes[i].clear != W && !(changes[i].set & 7UL << 9))
                                continue;
                        *way[level] = (before & ~changes[i].clear) | changes[i].set;
                        all(levels[level], changes[i].name, LAB_PAGE);
                        *way[level] = before;
                }
        }
        for (unsigned i = 0; i < sizeof changes / sizeof *changes; i++) {
                *way[3] = (*way[3] & ~changes[i].clear) | changes[i].set;
                all("PTE", changes[i].name, LAB_PAGE);
                lab_reset();
        }
}

/* Bits that must be zero: each with the error code that it makes. */
static void reserved(void)
{
        u64 huge = (u64)P | W | U | PS;
        for (int bit = 12; bit < 52; bit++) {
                if (bit >= 30 && bit < 51)
                        continue;
                lab_pointers[1] = huge | 1UL << bit;
                set_cr3(cr3());
                say("1 GiB page with bit %d", bit);
                one("read", read_byte, 0, LAB_HUGE, 0);
        }
        lab_pointers[1] = 0;
        for (int bit = 12; bit < 52; bit++) {
                if (bit >= 21 && bit < 51)
                        continue;
                lab_directory[3] = huge | 1UL << bit;
                set_cr3(cr3());
                say("2 MiB page with bit %d", bit);
                one("read", read_byte, 0, LAB_LARGE, 0);
        }
        lab_directory[3] = 0;
        root_table[2] = root_table[1] | PS;
        set_cr3(cr3());
        all("PML4E with PS", "", LAB + (1UL << 39));
        root_table[2] = 0;
        wrmsr(0xC0000080, rdmsr(0xC0000080) & ~(1UL << 11));
        for (int level = 2; level < 4; level++) {
                *way[level] |= NX;
                all("EFER.NXE=0, XD in ", levels[level], LAB_PAGE);
                lab_reset();
        }
        lab_table[0] &= ~(u64)P;
        all("EFER.NXE=0, not present", "", LAB_PAGE);
        set_smep_smap(1, 0);
        all("EFER.NXE=0, SMEP=1, not present", "", LAB_PAGE);
        set_smep_smap(0, 0);
        wrmsr(0xC0000080, rdmsr(0xC0000080) | 1UL << 11);
        lab_reset();
        lab_table[0] = NX | 1UL << 51;
        all("nothing but reserved bits, not present", "", LAB_PAGE);
        lab_reset();
}

/* Which entries are marked by which access: a for accessed, d for dirty. */
static void marks(const char *what, u64 at, int entries)
{
        static const u64 mask = A | D;
        u64 *last[] = {way[0], way[1], way[2], way[3]};
        if (at == LAB_LARGE)
                last[2] = &lab_directory[3];
        if (at == LAB_HUGE)
                last[1] = &lab_pointers[1];
        for (int level = 0; level <= 3; level += 3) {
                for (int i = 0; i < 3; i++) {
                        for (int k = 0; k < entries; k++)
                                *last[k] &= ~mask;
                        set_cr3(cr3());
                        struct setting with = {.rdi = at, .rax = 0xC3};
                        try(accesses[i].piece, level, &with);
                        say("%s level=%d %s marks: ", what, level, accesses[i].name);
                        for (int k = 0; k < entries; k++)
                                say("%s%s ", *last[k] & A ? "a" : "-", *last[k] & D ? "d" : "-");
                        tell();
                }
        }
}

static void accessed_and_dirty(void)
{
        marks("4 KiB page", LAB_PAGE, 4);
        lab_table[0] &= ~(u64)W;
        marks("read-only page", LAB_PAGE, 4);
        lab_table[0] &= ~(u64)P;
        marks("page that is not present", LAB_PAGE, 4);
        lab_reset();
        lab_table[0] &= ~(u64)U;
        marks("supervisor's page", LAB_PAGE, 4);
        lab_reset();
        lab_table[0] |= NX;
        marks("page without code", LAB_PAGE, 4);
        lab_reset();
        u64 frame = (u64)lab_frames & ~0x1FFFFFUL;
        u8 *first = (u8 *)frame;
        u8 kept = *first;
        *first = 0xC3;
        lab_directory[3] = frame | P | W | U | PS;
        marks("2 MiB page", LAB_LARGE, 3);
        lab_directory[3] = 0;
        *first = kept;
        first = (u8 *)0;
        kept = *first;
        *first = 0xC3;
        lab_pointers[1] = (u64)P | W | U | PS;
        marks("1 GiB page", LAB_HUGE, 2);
        *first = kept;
        lab_pointers[1] = 0;
        set_cr3(cr3());
}

/* What large pages show: the same memory as the small ones. */
static void large(void)
{
        volatile u32 *word = (volatile u32 *)(lab_frames[1] + 0x124);
        u64 at = (u64)word;
        *word = 0x12345678;
        lab_directory[3] = (at & ~0x1FFFFFUL) | P | W | U | PS;
        lab_pointers[1] = (u64)P | W | U | PS;
        set_cr3(cr3());
        say("2 MiB page shows the frame: %x\n", (u64) * (volatile u32 *)(LAB_LARGE + (at & 0x1FFFFF)));
        say("1 GiB page shows the frame: %x\n", (u64) * (volatile u32 *)(LAB_HUGE + at));
        say("4 KiB page shows the frame: %x\n", (u64) * (volatile u32 *)(LAB_PAGE + 0x1124));
        *(volatile u32 *)(LAB_HUGE + at) = 7;
        say("a write through 1 GiB is seen: %x\n", (u64)*word);
        /* PAT of a large page is bit 12, and no address. */
        lab_directory[3] |= 1 << 12;
        set_cr3(cr3());
        say("2 MiB page with PAT: %x\n", (u64) * (volatile u32 *)(LAB_LARGE + (at & 0x1FFFFF)));
        lab_directory[3] = 0;
        lab_pointers[1] = 0;
        set_cr3(cr3());
}

PIECE(write_quad, "movq %rax, (%rdi)");
PIECE(read_quad, "movq (%rdi), %rax");
PIECE(add_quad, "addq %rax, (%rdi)");
PIECE(xchg_quad, "xchgq %rax, (%rdi)");
PIECE(push_there, "movq %rdi, %rsp\npushq %rax");
PIECE(pop_there, "popq (%rdi)");
PIECE(movs_there, "movq %rdi, %rsi\naddq $64, %rsi\nmovl $8, %ecx\nrep movsb");
PIECE(stos_there, "movl $16, %ecx\nrep stosb");
PIECE(call_far_away, "movabs $0x0000800000000000, %rax\ncallq *%rax");
PIECE(jump_far_away, "movabs $0x0000800000000000, %rax\njmpq *%rax");
PIECE(return_far_away, "movabs $0x0000800000000000, %rax\npushq %rax\nret");
PIECE(sixteen_bytes, "movups (%rdi), %xmm0");
PIECE(sixteen_out, "movups %xmm0, (%rdi)");

/* Across the border of two pages: the fault is the second page's, and nothing of
   the first is written. */
static void crossing(void)
{
        static const struct {
                const char *name, *piece;
        } pieces[] = {{"write of 8", write_quad}, {"read of 8", read_quad},       {"add of 8", add_quad},
                      {"xchg of 8", xchg_quad},   {"pop to memory", pop_there},   {"push", push_there},
                      {"movs", movs_there},       {"stos", stos_there},           {"read of 16", sixteen_bytes},
                      {"write of 16", sixteen_out}};
        for (int second = 0; second < 3; second++) {
                for (unsigned i = 0; i < sizeof pieces / sizeof *pieces; i++) {
                        lab_reset();
                        lab_table[1] &= second == 0 ? ~0UL : second == 1 ? ~(u64)P : ~(u64)W;
                        for (u64 k = 0; k < 4096; k++)
                                lab_frames[0][k] = 0x11;
                        set_cr3(cr3());
                        struct setting with = {.rdi = LAB_PAGE + 0xFFC, .rax = 0x2222222222222222};
                        try(pieces[i].piece, 3, &with);
                        u64 sum = 0;
                        for (u64 k = 0xF00; k < 4096; k++)
                                sum += lab_frames[0][k] != 0x11;
                        say("crossing into a %s page, %s: %d bytes of the first, rdi %x, rcx %x, ",
                            second == 0 ? "plain" : second == 1 ? "missing" : "read-only", pieces[i].name, (u32)sum,
                            trap_gpr[5], trap_gpr[2] & 0xFF);
                        tell();
                }
        }
        lab_reset();
        /* Code that begins in one page and ends in a missing one. */
        lab_frames[0][0xFFE] = 0xB8;
        lab_table[1] = 0;
        set_cr3(cr3());
        struct setting with = {.rip = LAB_PAGE + 0xFFE};
        try(read_byte, 3, &with);
        say("mov of 5 bytes into a missing page: ");
        tell();
        lab_frames[0][0xFFE] = 0x90;
        lab_frames[0][0xFFF] = 0x90;
        try(read_byte, 3, &with);
        say("two instructions, then a missing page: rip %x, ", trap_words.rip);
        tell();
        lab_frames[0][0xFFE] = 0x0F;
        lab_frames[0][0xFFF] = 0x0B;
        try(read_byte, 3, &with);
        say("ud2 before a missing page: ");
        tell();
        lab_reset();
}

/* Addresses that are not canonical. */
static void canonical(void)
{
        static const u64 places[] = {0x0000800000000000, 0xFFFF7FFFFFFFFFFF, 0x00007FFFFFFFFFFC,
                                     0xFFFF800000000000, 0xFFFFFFFFFFFFFFFC};
        for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
                struct setting with = {.rdi = places[i]};
                say("read of 8 at %x", places[i]);
                try(read_quad, 3, &with);
                say(": ");
                tell();
                say("push at %x", places[i]);
                try(push_there, 3, &with);
                say(": ");
                tell();
        }
        try(call_far_away, 3, 0);
        say("call to no canonical address: ");
        tell();
        try(jump_far_away, 3, 0);
        say("jmp to no canonical address: ");
        tell();
        try(return_far_away, 3, 0);
        say("ret to no canonical address: rsp lab+%x, ", trap_words.rsp - LAB);
        tell();
}

/* What the processor itself reads is read with the supervisor's rights, and SMAP
   holds for it whatever AC says. */
PIECE(load_data_segment, "movl $0x23, %eax\nmovl %eax, %ds");

static void implicit(void)
{
        try(load_data_segment, 3, 0);
        say("level 3 loads a segment from the supervisor's table: ");
        tell();
        /* A GDT in a user's page. */
        struct {
                u16 limit;
                u64 base;
        } __attribute__((packed)) there = {0x77, LAB_PAGE}, back = {0x77, (u64)gdt};
        for (int i = 0; i < 15; i++)
                ((u64 *)lab_frames[0])[i] = gdt[i];
        for (int smap = 0; smap < 2; smap++) {
                for (int level = 0; level <= 3; level += 3) {
                        set_smep_smap(0, smap);
                        asm volatile("lgdt %0" : : "m"(there));
                        struct setting with = {.rflags = FLAG_AC};
                        /* The trap itself reads the table: with SMAP that would be a triple fault. */
                        if (!smap)
                                try(load_data_segment, level, &with);
                        asm volatile("lgdt %0" : : "m"(back));
                        if (!smap) {
                                say("table in a user's page, smap=%d level=%d: ", smap, level);
                                tell();
                        }
                }
        }
        set_smep_smap(0, 0);
        lab_reset();
}

/* Changes that are flushed are seen. (Those that are not may or may not be.) */
static void flushes(void)
{
        volatile u32 *there = (volatile u32 *)(LAB_PAGE + 8);
        *(u32 *)(lab_frames[0] + 8) = 1;
        *(u32 *)(lab_frames[1] + 8) = 2;
        say("before: %d\n", *there);
        lab_table[0] = (u64)lab_frames[1] | P | W | U;
        invlpg(LAB_PAGE + 0x123);
        say("after INVLPG: %d\n", *there);
        lab_table[0] = (u64)lab_frames[0] | P | W | U | G;
        set_cr3(cr3());
        say("after a load of CR3: %d\n", *there);
        set_cr4(cr4() | CR4_PGE);
        *there;
        lab_table[0] = (u64)lab_frames[1] | P | W | U | G;
        invlpg(LAB_PAGE);
        say("a global page after INVLPG: %d\n", *there);
        lab_table[0] = (u64)lab_frames[0] | P | W | U | G;
        set_cr4(cr4() & ~(u64)CR4_PGE);
        say("a global page after CR4.PGE changed: %d\n", *there);
        lab_table[0] = (u64)lab_frames[1] | P | W | U | G;
        set_cr0(cr0() & ~(u64)CR0_WP);
        set_cr0(cr0() | CR0_WP);
        set_cr3(cr3());
        say("after all: %d\n", *there);
        /* A page that becomes writable needs no flush: the fault itself drops the entry. */
        lab_table[0] = (u64)lab_frames[0] | P;
        set_cr3(cr3());
        *there;
        lab_table[0] = (u64)lab_frames[0] | P | W;
        invlpg(LAB_PAGE);
        *there = 5;
        say("after more rights: %d\n", *there);
        lab_reset();
}

/* Code that is changed and run. */
static void changed_code(void)
{
        u8 *code = lab_frames[0];
        struct setting with = {.rip = LAB_PAGE};
        for (int i = 0; i < 6; i++) {
                code[0] = 0xB8; /* mov $i, %eax; int $0x80 */
                code[1] = (u8)i;
                code[2] = code[3] = code[4] = 0;
                code[5] = 0xCD;
                code[6] = 0x80;
                try(read_byte, i % 2 ? 3 : 0, &with);
                say("changed code, turn %d: eax %x, vector %x\n", i, trap_gpr[0], trap_words.vector);
        }
        /* The code writes over its own next instruction: movb $0x90, 0(%rip). */
        static const u8 self[] = {0xC6, 0x05, 0, 0, 0, 0, 0x90, 0xF4, 0xCD, 0x80};
        for (unsigned i = 0; i < sizeof self; i++)
                code[i] = self[i];
        try(read_byte, 3, &with);
        say("code that changes its next instruction: vector %x at +%d\n", trap_words.vector,
            (u32)(trap_words.rip - LAB_PAGE));
        /* The same frame through another page, in the middle of a page crossing. */
        code[0xFFE] = 0xB8;
        code[0xFFF] = 0x34;
        lab_frames[1][0] = 0x12;
        lab_frames[1][1] = lab_frames[1][2] = 0;
        lab_frames[1][3] = 0xCD;
        lab_frames[1][4] = 0x80;
        with.rip = LAB_PAGE + 0xFFE;
        try(read_byte, 3, &with);
        say("code across pages: eax %x\n", trap_gpr[0]);
        lab_frames[1][0] = 0x56;
        try(read_byte, 3, &with);
        say("code across pages, changed behind the border: eax %x\n", trap_gpr[0]);
}

void paging(void)
{
        lab_frames[0][0] = 0xC3;
        rights();
        upper_levels();
        lab_frames[0][0] = 0xC3;
        reserved();
        accessed_and_dirty();
        large();
        flushes();
        canonical();
        crossing();
        implicit();
        changed_code();
}
