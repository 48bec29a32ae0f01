/* What the families of cases share. */

#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long u64;

/* The serial line. `say` knows %s, %d, %x and %c. */
void say(const char *format, ...);

/* Code to try, at both levels. Its end is a trap of its own (vector 0x80). */
#define PIECE(name, text)                                                      \
        extern const char name[];                                              \
        asm(".pushsection .pieces, \"ax\"\n.balign 64\n" #name ":\n" text      \
            "\nint $0x80\n.popsection")

enum { DONE = 0x80 };

/* Where they lie for the kernel; LAB_CODE shows the same to programs. */
extern const char pieces_start[], pieces_end[];

/* Selectors; what else the GDT holds stands in start.S. */
enum { KERNEL_CODE = 0x08, KERNEL_DATA = 0x10, USER_DATA = 0x23, USER_CODE = 0x2B, TASK = 0x30 };

/* With what a piece begins. `start.S` knows the places. */
struct setting {
        u64 rax, rbx, rcx, rdx, rsi, rdi;
        u64 rip, rsp, rflags, cs, ss;
};

/* What ended it. */
extern u64 trap_gpr[6];
struct words {
        u64 vector, code, rip, cs, rflags, rsp, ss;
};
extern struct words trap_words;
extern u64 trap_frame, trap_cr2;

/* Runs a piece at level 0 or 3; `with` says the registers and flags, or is 0. */
void try(const char *piece, int level, const struct setting *with);
/* The end of a line: what ended the piece that was tried last. */
void tell(void);

/* Places for pieces: user and supervisor may use them (pages of the lab). */
#define LAB 0x8000000000
#define LAB_CODE LAB               /* the pieces */
#define LAB_STACK (LAB + 0x200000) /* a stack's page and one above it */
#define LAB_PAGE (LAB + 0x400000)  /* has a table of its own */
#define LAB_LARGE (LAB + 0x600000) /* may be a page of 2 MiB */
#define LAB_HUGE (LAB + 0x40000000) /* may be a page of 1 GiB */

enum { P = 1, W = 2, U = 4, A = 1 << 5, D = 1 << 6, PS = 1 << 7, G = 1 << 8 };
#define NX (1UL << 63)

/* The lab's tables, and the frames behind LAB_PAGE and the page after it. */
extern u64 root_table[512], lab_pointers[512], lab_directory[512], lab_table[512];
extern u8 lab_frames[2][4096];
/* Makes LAB_PAGE and the next one plain pages again, and flushes. */
void lab_reset(void);

extern u64 idt[512];
extern u8 stubs[];
void set_gate(int vector, u64 handler, u16 selector, int type, int ist);
extern u8 task[104];
extern u64 gdt[];

#define CR(n)                                                                  \
        static inline u64 cr##n(void)                                          \
        {                                                                      \
                u64 value;                                                     \
                asm volatile("mov %%cr" #n ", %0" : "=r"(value));              \
                return value;                                                  \
        }                                                                      \
        static inline void set_cr##n(u64 value)                                \
        {                                                                      \
                asm volatile("mov %0, %%cr" #n : : "r"(value) : "memory");     \
        }
CR(0) CR(2) CR(3) CR(4) CR(8)

enum { CR0_TS = 1 << 3, CR0_EM = 1 << 2, CR0_WP = 1 << 16, CR0_AM = 1 << 18 };
enum { CR4_UMIP = 1 << 11, CR4_SMEP = 1 << 20, CR4_SMAP = 1 << 21, CR4_PGE = 1 << 7, CR4_TSD = 1 << 2 };
enum { FLAG_TF = 1 << 8, FLAG_IF = 1 << 9, FLAG_AC = 1 << 18, FLAG_RF = 1 << 16 };

static inline u64 rdmsr(u32 number)
{
        u32 low, high;
        asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
        return (u64)high << 32 | low;
}

static inline void wrmsr(u32 number, u64 value)
{
        asm volatile("wrmsr" : : "c"(number), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static inline void outb(u16 port, u8 value)
{
        asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline u8 inb(u16 port)
{
        u8 value;
        asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
        return value;
}

static inline void invlpg(u64 address)
{
        asm volatile("invlpg (%0)" : : "r"(address) : "memory");
}

/* The families. */
void paging(void);
void faults(void);
void segments(void);
void debug(void);
void interrupts(void);
void control(void);
void triple(void);
void modes(void);
