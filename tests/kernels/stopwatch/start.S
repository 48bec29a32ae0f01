/* 64-bit mode with memory mapped five times, all open to CPL 3: at 0 the first GiB in
 * pages of 2 MiB, at 1 GiB 2 MiB of it in pages of 4 KiB, at 2 GiB in pages of 2 MiB,
 * at 3 GiB the APICs, at 4 GiB the first GiB in one page. */

    .section .note.pvh, "a", @note
    .long 4, 4, 18              /* name, contents, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long start32

    .text
    .code32
    .globl start32
start32:
    movl $0x87, %eax
    xorl %ecx, %ecx
1:  movl %eax, big_pages(, %ecx, 8)
    addl $0x200000, %eax
    incl %ecx
    cmpl $512, %ecx
    jne 1b
    movl $0x1000007, %eax
    xorl %ecx, %ecx
1:  movl %eax, small_pages(, %ecx, 8)
    addl $0x1000, %eax
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
    mov %ax, %ds
    mov %ax, %es
    mov %eax, %ss
    movl $stack_top, %esp
    call kernel_main
2:  cli
    hlt
    jmp 2b

/* An exception or interrupt ends what is measured: the time, then back to where
 * r15 says, on the stack that r14 remembers. */
    .globl take_time
take_time:
    rdtsc
    movq %r14, %rsp
    jmp *%r15

/* The same for one that the APIC has to be told the end of. */
    .globl take_time_apic
take_time_apic:
    rdtsc
    movl $0xFEE000B0, %ecx
    movl $0, (%rcx)
    movq %r14, %rsp
    jmp *%r15

/* Targets of SYSCALL: back at CPL 0, and back to CPL 3. */
    .globl return_at_cpl_0, return_to_cpl_3
return_at_cpl_0:
    jmp *%rcx
return_to_cpl_3:
    sysretq

    .data
    .align 8
    .globl gdt
gdt:
    .quad 0
    .quad 0x00AF9B000000FFFF
    .quad 0x00CF93000000FFFF
    .quad 0x00CFF3000000FFFF
    .quad 0x00AFFB000000FFFF
    .quad 0, 0                  /* the TSS */
    .globl gdt_pointer
gdt_pointer:
    .word . - gdt - 1
    .quad gdt

    .align 4096
root:
    .quad directory + 7
    .fill 511, 8, 0
directory:
    .quad big_pages + 7, table + 7, big_pages + 7
    .quad 0xC0000087            /* APICs */
    .quad 0x00000087            /* 4 GiB: the first GiB as one page */
    .fill 507, 8, 0
table:
    .quad small_pages + 7
    .fill 511, 8, 0
big_pages:
    .fill 512, 8, 0
small_pages:
    .fill 512, 8, 0

    .bss
    .align 16
    .skip 16384
    .globl stack_top
stack_top:
