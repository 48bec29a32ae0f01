/* The way in (PVH: 32-bit, flat, no paging), the interrupt stubs, the switch
 * from one thread to another. */

    .section .note.pvh, "a", @note
    .long 4, 4, 18              /* name, contents, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long start

    .text
    .globl start
start:
    cld
    movl $boot_stack_top, %esp
    lgdt gdt_pointer
    ljmp $0x08, $1f
1:  movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movw %ax, %ss
    pushl %ebx
    call kernel_main
2:  cli
    hlt
    jmp 2b

/* Vectors 0 to 47: 0 to 31 are exceptions, then the two 8259As' lines. */
    .macro stub vector
    .align 16
    .if !(\vector == 8 || (\vector >= 10 && \vector <= 14) || \vector == 17)
    pushl $0
    .endif
    pushl $\vector
    jmp common
    .endm

    .align 16
    .globl stubs
stubs:
    .set vector, 0
    .rept 48
    stub vector
    .set vector, vector + 1
    .endr

common:
    pusha
    cld
    pushl %esp
    call interrupt
    addl $4, %esp
    popa
    addl $8, %esp
    iret

/* void switch_to(u32 *save_esp, u32 esp) */
    .globl switch_to
switch_to:
    movl 4(%esp), %eax
    movl 8(%esp), %edx
    pushl %ebp
    pushl %ebx
    pushl %esi
    pushl %edi
    movl %esp, (%eax)
    movl %edx, %esp
    popl %edi
    popl %esi
    popl %ebx
    popl %ebp
    ret

    .data
    .align 8
gdt:
    .quad 0
    .quad 0x00CF9A000000FFFF
    .quad 0x00CF92000000FFFF
gdt_pointer:
    .word . - gdt - 1
    .long gdt

    .bss
    .align 16
    .skip 16384
boot_stack_top:
