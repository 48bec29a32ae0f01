/* 64-bit mode: the first GiB and the APIC's page where they are, in pages of
 * 2 MiB that both levels may use; at 1 TiB a table of small pages that the
 * system operations fill. Begins with the way in, so that a loader which knows
 * no ELF may jump to the first byte. */

    .section .note.pvh, "a", @note
    .long 4, 4, 18              /* name, contents, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long start32

    .section .text.start, "ax"
    .code32
    .globl start32
start32:
    cld
    movl $stack_top, %esp
    movl $0x87, %eax
    xorl %ecx, %ecx
1:  movl %eax, big_pages(, %ecx, 8)
    addl $0x200000, %eax
    incl %ecx
    cmpl $512, %ecx
    jne 1b
    movl %cr4, %eax
    orl $0x620, %eax            /* PAE, OSFXSR, OSXMMEXCPT */
    movl %eax, %cr4
    movl $root, %eax
    movl %eax, %cr3
    movl $0xC0000080, %ecx
    rdmsr
    orl $0x101, %eax            /* SCE, LME */
    wrmsr
    movl $0x80010033, %eax      /* PG, WP, NE, ET, MP, PE */
    movl %eax, %cr0
    lgdt gdt_pointer
    ljmp $0x08, $1f
    .code64
1:  xorl %eax, %eax
    mov %ax, %fs
    mov %ax, %gs
    movl $0x10, %eax
    mov %ax, %ds
    mov %ax, %es
    mov %eax, %ss
    movl $stack_top, %esp
    movl %ebx, %edi
    movl 24(%rdi), %edi         /* the command line, of the PVH start info */
    call kernel_main
2:  cli
    hlt
    jmp 2b

    .data
    .balign 8
    .globl gdt, gdt_pointer
gdt:
    .quad 0
    .quad 0x00AF9B000000FFFF    /* 08: kernel code */
    .quad 0x00CF93000000FFFF    /* 10: kernel data */
    .quad 0x00CFF3000000FFFF    /* 1B: user data */
    .quad 0x00AFFB000000FFFF    /* 23: user code */
    .quad 0, 0                  /* 28: the task */
gdt_pointer:
    .word . - gdt - 1
    .quad gdt

    .balign 4096
    .globl root, other_root, small_pages
root:
    .quad directory + 7, 0, low + 7
    .fill 509, 8, 0
other_root:
    .quad directory + 7, 0, low + 7
    .fill 509, 8, 0
directory:
    .quad big_pages + 7, 0, 0, apic_pages + 7
    .fill 508, 8, 0
apic_pages:
    .fill 503, 8, 0
    .quad 0xFEE0009F            /* not cached */
    .fill 8, 8, 0
low:
    .quad lower + 7
    .fill 511, 8, 0
lower:
    .quad small_pages + 7
    .fill 511, 8, 0

    .bss
    .balign 4096
big_pages:
    .skip 4096
small_pages:
    .skip 4096
    .skip 65536
    .globl stack_top
stack_top:
