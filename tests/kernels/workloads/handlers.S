/* The other side of the system operations, and the code that is copied. */

    .text
/* Maps the page that was missing to its frame: page n to 16 MiB + 4096 n. */
    .globl page_fault
page_fault:
    pushq %rax
    pushq %rcx
    movq %cr2, %rax
    shrq $12, %rax
    andl $511, %eax
    movl %eax, %ecx
    shll $12, %ecx
    addl $0x1000007, %ecx
    movq %rcx, small_pages(, %rax, 8)
    popq %rcx
    popq %rax
    addq $8, %rsp
    iretq

    .globl return_at_once
return_at_once:
    iretq

    .globl count_interrupt
count_interrupt:
    incq interrupts(%rip)
    pushq %rax
    movl $0xFEE000B0, %eax      /* the end of the interrupt */
    movl $0, (%rax)
    popq %rax
    iretq

    .globl answer_system_call
answer_system_call:
    addq %rdi, %rax
    leaq 1(%rax, %rax, 2), %rax
    sysretq

/* user_calls(n): goes to level 3, where n system calls are made, and comes back
 * by an interrupt's gate of its own. */
    .balign 4096                /* programs and kernels share no pages */
    .globl user_calls
user_calls:
    pushq %rbx
    pushq %rbp
    movq %rsp, saved_stack(%rip)
    movq %rdi, %rbx
    xorl %eax, %eax
    pushq $0x1B
    pushq %rsp
    pushq $2
    pushq $0x23
    pushq $1f
    iretq
1:  testq %rbx, %rbx
    jz 3f
2:  movq %rbx, %rdi
    syscall
    decq %rbx
    jnz 2b
3:  int $0x81
    .globl user_is_done
user_is_done:
    movq saved_stack(%rip), %rsp
    movl $0x10, %ecx
    mov %ecx, %ss
    popq %rbp
    popq %rbx
    ret

    .balign 4096
/* sample(x, i): about 40 instructions. */
    .balign 16
    .globl sample, sample_end
sample:
    movq %rdi, %rax
    xorq %rsi, %rax
    .rept 4
    leaq 5(%rax, %rsi, 2), %rcx
    shrq $3, %rcx
    addq %rcx, %rax
    movq %rax, %rdx
    andl $0xFF, %edx
    addq %rdx, %rax
    rolq $7, %rax
    testb $1, %al
    jz 1f
    incq %rax
1:
    .endr
    imulq $31, %rax, %rax
    ret
sample_end:

    .balign 16
    .globl small_sample, small_sample_end
small_sample:
    movl $0, %eax
    addl $3, %eax
    ret
small_sample_end:
    .balign 16

    .bss
    .balign 8
saved_stack:
    .skip 8
