/* The way in from PVH, the tables of the processor, and the ways between the
   program and the pieces of code that it tries. */

        .section .note.Xen, "a", @note
        .balign 4
        .long 4, 8, 18                  /* XEN_ELFNOTE_PHYS32_ENTRY */
        .asciz "Xen"
        .quad entry

        .text
        .code32
        .globl entry
entry:  cld
        mov %ebx, start_info
        mov $stack_top, %esp
        mov %cr4, %eax
        or $0x620, %eax                 /* PAE, OSFXSR, OSXMMEXCPT */
        mov %eax, %cr4
        mov $root_table, %eax
        mov %eax, %cr3
        mov $0xC0000080, %ecx
        rdmsr
        or $0x901, %eax                 /* SCE, LME, NXE */
        wrmsr
        mov $0x80010033, %eax           /* PG, WP, NE, ET, MP, PE */
        mov %eax, %cr0
        lgdt gdtr
        ljmp $0x08, $entry64
        .code64
entry64:
        mov $0x10, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        xor %eax, %eax
        mov %eax, %fs
        mov %eax, %gs
        mov $stack_top, %rsp
        mov start_info(%rip), %edi
        call main
1:      hlt
        jmp 1b

/* enter(const struct setting *): goes to a piece of code as IRET does. The
   next trap comes back from here. */
        .globl enter
enter:  push %rbx
        push %rbp
        push %r12
        push %r13
        push %r14
        push %r15
        mov %rsp, way_back(%rip)
        push 80(%rdi)                   /* ss, rsp, rflags, cs, rip */
        push 56(%rdi)
        push 64(%rdi)
        push 72(%rdi)
        push 48(%rdi)
        mov 0(%rdi), %rax
        mov 8(%rdi), %rbx
        mov 16(%rdi), %rcx
        mov 24(%rdi), %rdx
        mov 32(%rdi), %rsi
        mov 40(%rdi), %rdi
        iretq

/* Each vector's stub: a zero where the processor pushes no error code, then the
   vector. */
        .globl stubs
        .balign 16
stubs:  .set vector, 0
        .rept 256
        .balign 16
        .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21
        .else
        push $0
        .endif
        push $vector
        jmp trapped
        .set vector, vector + 1
        .endr

trapped:
        mov %rax, trap_gpr(%rip)
        mov %rbx, trap_gpr+8(%rip)
        mov %rcx, trap_gpr+16(%rip)
        mov %rdx, trap_gpr+24(%rip)
        mov %rsi, trap_gpr+32(%rip)
        mov %rdi, trap_gpr+40(%rip)
        cld
        mov %rsp, trap_frame(%rip)
        mov %rsp, %rsi
        lea trap_words(%rip), %rdi
        mov $7, %ecx
        rep movsq
        mov %cr2, %rax
        mov %rax, trap_cr2(%rip)
        mov $0x10, %eax
        mov %eax, %ss
        mov %eax, %ds
        mov %eax, %es
        mov way_back(%rip), %rsp
        test %rsp, %rsp
        jz unexpected
        movq $0, way_back(%rip)
        pop %r15
        pop %r14
        pop %r13
        pop %r12
        pop %rbp
        pop %rbx
        ret
unexpected:
        mov $stack_top, %rsp
        call give_up

        .data
        .balign 16
        .globl gdt
gdt:    .quad 0
        .quad 0x00AF9B000000FFFF        /* 08 kernel's 64-bit code */
        .quad 0x00CF93000000FFFF        /* 10 kernel's data */
        .quad 0x00CFFB000000FFFF        /* 18 user's 32-bit code */
        .quad 0x00CFF3000000FFFF        /* 20 user's data */
        .quad 0x00AFFB000000FFFF        /* 28 user's 64-bit code */
        .quad 0, 0                      /* 30 TSS, filled in later */
        .quad 0x00CF9B000000FFFF        /* 40 kernel's 32-bit code */
        .quad 0x00CF13000000FFFF        /* 48 data that is not present */
        .quad 0x00AF9F000000FFFF        /* 50 conforming code */
        .quad 0x00CF91000000FFFF        /* 58 read-only data */
        .quad 0x00AF99000000FFFF        /* 60 code that cannot be read */
        .quad 0x00EF9B000000FFFF        /* 68 code with L and D */
        .quad 0x00AF1B000000FFFF        /* 70 code that is not present */
        .globl gdtr
gdtr:   .word . - gdt - 1
        .quad gdt

        .balign 4096
        .globl root_table
root_table:
        .quad pointers + 3
        .fill 511, 8, 0
pointers:
        .quad directories + 3, directories + 0x1003
        .quad directories + 0x2003, directories + 0x3003
        .fill 508, 8, 0
directories:
        .set page, 0
        .rept 2048
        .quad page + 0x83
        .set page, page + 0x200000
        .endr

        .bss
        .balign 16
        .fill 16384
stack_top:
        .globl trap_gpr, trap_words, trap_frame, trap_cr2, way_back
trap_gpr:   .fill 6, 8
trap_words: .fill 7, 8
trap_frame: .quad 0
trap_cr2:   .quad 0
way_back:   .quad 0
start_info: .long 0
        .section .note.GNU-stack, "", @progbits
