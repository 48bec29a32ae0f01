/* From PVH's 32-bit entry into 64-bit mode at the top of the address space;
 * the stubs of interrupts and of SYSCALL; the switch of stacks. */

    .section .note.pvh, "a", @note
    .long 4, 4, 18              /* name, contents, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long start32

    .set HIGH, 0xFFFFFFFF80000000

    .section .entry, "awx"
    .code32
    .globl start32
start32:
    cld
    /* The first GiB at 0 and at HIGH, the devices' at HIGH + 1 GiB. */
    movl $0x83, %eax
    xorl %ecx, %ecx
1:  movl %eax, low_pages(, %ecx, 8)
    addl $0x200000, %eax
    incl %ecx
    cmpl $512, %ecx
    jne 1b
    movl $0xC0000093, %eax
    xorl %ecx, %ecx
1:  movl %eax, device_pages(, %ecx, 8)
    addl $0x200000, %eax
    incl %ecx
    cmpl $512, %ecx
    jne 1b

    movl %cr4, %eax
    orl $0x6A0, %eax            /* PAE, PGE, OSFXSR, OSXMMEXCPT */
    movl %eax, %cr4
    movl $root_table, %eax
    movl %eax, %cr3
    movl $0xC0000080, %ecx
    rdmsr
    orl $0x901, %eax            /* SCE, LME, NXE */
    wrmsr
    movl $0x80010033, %eax      /* PG, WP, NE, ET, MP, PE */
    movl %eax, %cr0
    lgdt first_gdt_pointer
    ljmp $0x08, $start64

    .code64
start64:
    movabsq $high, %rax
    jmp *%rax

    .align 8
first_gdt:
    .quad 0
    .quad 0x00AF9A000000FFFF
first_gdt_pointer:
    .word . - first_gdt - 1
    .long first_gdt

    .align 4096
    .globl root_table
root_table:
    .quad low_directory + 3
    .fill 510, 8, 0
    .quad high_directory + 3
low_directory:
    .quad low_pages + 3
    .fill 511, 8, 0
high_directory:
    .fill 510, 8, 0
    .quad low_pages + 3
    .quad device_pages + 3
low_pages:
    .fill 512, 8, 0
device_pages:
    .fill 512, 8, 0

    .text
high:
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %eax, %fs
    movl %eax, %gs
    movq $boot_stack_top, %rsp
    movl %ebx, %edi
    call kernel_main
1:  cli
    hlt
    jmp 1b

    .macro stub vector
    .align 16
    .if !(\vector == 8 || (\vector >= 10 && \vector <= 14) || \vector == 17)
    pushq $0
    .endif
    pushq $\vector
    jmp common
    .endm

    .align 16
    .globl stubs
stubs:
    .set vector, 0
    .rept 64
    stub vector
    .set vector, vector + 1
    .endr

    .macro push_all
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    .endm

    .macro pop_all
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rbx
    popq %rdx
    popq %rcx
    popq %rax
    .endm

common:
    push_all
    cld
    movq %rsp, %rdi
    call interrupt
    .globl leave_to_tenant
leave_to_tenant:
    pop_all
    addq $16, %rsp
    iretq

/* One CPU and one tenant at a time: its stack pointer may wait in memory, and
 * interrupts are off (SFMASK) until we are on the tenant's kernel stack. */
    .globl syscall_entry
syscall_entry:
    movq %rsp, tenant_rsp(%rip)
    movq kernel_rsp(%rip), %rsp
    pushq tenant_rsp(%rip)
    pushq %rcx
    pushq %r11
    pushq %rbp
    movq %rsp, %rbp
    andq $-16, %rsp
    movq %rdx, %rcx
    movq %rsi, %rdx
    movq %rdi, %rsi
    movq %rax, %rdi
    call system_call
    movq %rbp, %rsp
    popq %rbp
    popq %r11
    popq %rcx
    popq %rsp
    sysretq

/* void switch_to(u64 *save_rsp, u64 rsp) */
    .globl switch_to
switch_to:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret

    .bss
    .globl kernel_rsp
kernel_rsp: .skip 8
tenant_rsp: .skip 8
    .align 16
    .skip 16384
boot_stack_top:
