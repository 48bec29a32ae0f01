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

void paging(void)
{
        lab_frames[0][0] = 0xC3;
        rights();
}
