/* Real mode and protected mode without paging: the way there from 64-bit mode, the
   pieces of code that are tried, and the way back after the first trap. */

        .set REAL, 0x10000              /* where the part for real mode is copied to */

        .text
        .code64
/* legacy(): runs what `job` says; the next trap comes back from here. */
        .globl legacy
legacy: push %rbx
        push %rbp
        push %r12
        push %r13
        push %r14
        push %r15
        mov %rsp, legacy_back
        lgdt legacy_gdtr
        lidt legacy_idtr
        ljmp *1f
1:      .long legacy32
        .word 0x08

        .code32
/* Compatibility mode becomes protected mode without paging. */
legacy32:
        mov %cr0, %eax
        and $0x7FFFFFFF, %eax
        mov %eax, %cr0
        mov $0xC0000080, %ecx
        rdmsr
        and $~0x100, %eax
        wrmsr
        mov $0x10, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        mov %eax, %fs
        mov %eax, %gs
        mov $legacy_stack_top, %esp
        andb $~2, legacy_gdt + 0x28 + 5
        mov $0x28, %eax
        ltr %ax
        xor %eax, %eax
        lldt %ax
        mov job, %eax
        cmp $16, %eax
        je to_real
        cmp $3, %eax
        je to_user
        cmp $2, %eax
        je to_16
        pushl job + 8                   /* eflags, cs, eip */
        pushl $0x08
        pushl job + 4
        jmp load
to_user:
        pushl $0x23
        pushl $user_top
        pushl job + 8
        pushl $0x1B
        pushl job + 4
load:   mov job + 12, %eax
        mov job + 16, %ebx
        mov job + 20, %ecx
        mov job + 24, %edx
        mov job + 28, %esi
        mov job + 32, %edi
        mov $0xBBBB, %ebp
        iret
to_16:  mov $0x38, %eax
        mov %eax, %ss
        mov %eax, %ds
        mov $0x12348000, %esp
        pushl %cs:job + 8
        pushl $0x30
        pushl %cs:job + 4
        mov %cs:job + 12, %eax
        mov %cs:job + 16, %ebx
        mov %cs:job + 20, %ecx
        mov %cs:job + 24, %edx
        mov %cs:job + 28, %esi
        mov %cs:job + 32, %edi
        mov $0xBBBB, %ebp
        iret
to_real:
        ljmp $0x30, $(real_enter - real_start)

/* Each vector's stub. */
        .globl legacy_stubs
        .balign 16
legacy_stubs:
        .set vector, 0
        .rept 0x90
        .balign 16
        pushl $vector
        jmp legacy_trapped
        .set vector, vector + 1
        .endr

legacy_trapped:
        push %eax
        mov $0x10, %eax
        mov %eax, %ds
        pop %eax
        mov %eax, trap + 8
        mov %ebx, trap + 12
        mov %ecx, trap + 16
        mov %edx, trap + 20
        mov %esi, trap + 24
        mov %edi, trap + 28
        mov %ebp, trap + 32
        mov %esp, trap + 36
        mov %ss, %eax
        mov %eax, trap + 40
        pop %eax
        mov %eax, trap
        cld
        mov $trap + 44, %edi
        mov $8, %ecx
1:      pop %eax
        mov %eax, (%edi)
        add $4, %edi
        loop 1b
/* Back to 64-bit mode. */
legacy_leave:
        mov $0x10, %eax
        mov %eax, %ss
        mov %eax, %es
        mov $legacy_stack_top, %esp
        mov $0xC0000080, %ecx
        rdmsr
        or $0x100, %eax
        wrmsr
        mov %cr0, %eax
        or $0x80000000, %eax
        mov %eax, %cr0
        lgdt gdtr
        ljmp $0x08, $legacy64
        .code64
legacy64:
        mov $0x10, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        mov legacy_back, %rsp
        pop %r15
        pop %r14
        pop %r13
        pop %r12
        pop %rbp
        pop %rbx
        ret

/* The part for real mode: offsets are relative to real_start. */
        .data
        .balign 16
        .globl real_start, real_end
real_start:
        .code16
real_enter:
        mov $0x38, %ax                  /* limits and widths of real mode */
        mov %ax, %ds
        mov %ax, %es
        mov %ax, %ss
        mov %ax, %fs
        mov %ax, %gs
        mov %cr0, %eax
        and $~1, %al
        mov %eax, %cr0
        ljmp $(REAL >> 4), $(1f - real_start)
1:      mov $(REAL >> 4), %ax
        mov %ax, %ds
        mov %ax, %es
        mov %ax, %ss
        mov $0x12348000, %esp
        lidtl real_idtr - real_start
        pushw real_job - real_start + 8
        pushw $(REAL >> 4)
        pushw real_job - real_start + 4
        mov real_job - real_start + 12, %eax
        mov real_job - real_start + 16, %ebx
        mov real_job - real_start + 20, %ecx
        mov real_job - real_start + 24, %edx
        mov real_job - real_start + 28, %esi
        mov real_job - real_start + 32, %edi
        mov $0xBBBB, %ebp
        iret
        .balign 4
        .globl real_job, real_trap, real_idtr, real_stubs
real_job: .fill 9, 4
real_trap: .fill 19, 4
real_idtr: .word 0x3FF
        .long REAL + 0x6000
real_stubs:
        .set vector, 0
        .rept 0x30
        .balign 8
        pushw $vector
        jmp real_trapped
        .set vector, vector + 1
        .endr
real_trapped:
        pushw %ds
        pushw $(REAL >> 4)
        popw %ds
        mov %eax, real_trap - real_start + 8
        mov %ebx, real_trap - real_start + 12
        mov %ecx, real_trap - real_start + 16
        mov %edx, real_trap - real_start + 20
        mov %esi, real_trap - real_start + 24
        mov %edi, real_trap - real_start + 28
        mov %ebp, real_trap - real_start + 32
        mov %esp, real_trap - real_start + 36
        xor %eax, %eax
        mov %ss, %ax
        mov %eax, real_trap - real_start + 40
        popw %ax                        /* ds, then the vector */
        mov %eax, real_trap - real_start + 4
        popw %ax
        mov %eax, real_trap - real_start
        mov $(real_trap - real_start + 44), %di
        mov $8, %cx
1:      popw %ax
        movzwl %ax, %eax
        mov %eax, (%di)
        add $4, %di
        loop 1b
        lidtl real_back - real_start
        mov %cr0, %eax
        or $1, %al
        mov %eax, %cr0
        ljmpl $0x08, $real_leave
real_back:
        .word 0x90 * 8 - 1
        .long legacy_idt

/* Pieces of 16 bits; each ends in a trap. */
#define REAL_PIECE(name) .globl name; name:
REAL_PIECE(r_int)
        int $0x21
REAL_PIECE(r_ud2)
        ud2
REAL_PIECE(r_divide)
        xor %cx, %cx
        nop
        div %cx
REAL_PIECE(r_into)
        mov $0x7F, %al
        add $1, %al
        into
REAL_PIECE(r_bound)
        mov $5, %ax
        bound %ax, %cs:(1f - real_start)
        nop
1:      .word 6, 9
REAL_PIECE(r_iret)
        pushw $0x46
        pushw %cs
        pushw $(1f - real_start)
        iret
        ud2
1:      int3
REAL_PIECE(r_call_far)
        lcall $(REAL >> 4) - 0x10, $(1f - real_start + 0x100)
2:      mov %sp, %si
        int3
1:      mov %sp, %bx
        mov %cs, %ax
        lret
REAL_PIECE(r_retf)
        pushw $0x1111
        pushw %cs
        pushw $(1f - real_start)
        lret $2
        ud2
1:      int3
REAL_PIECE(r_jump_far)
        ljmp *%cs:(2f - real_start)
2:      .word 1f - real_start + 0x20, (REAL >> 4) - 2
        ud2
1:      mov %cs, %ax
        int3
REAL_PIECE(r_pusha)
        pusha
        mov $0, %eax
        mov $0, %ebx
        popa
        int3
REAL_PIECE(r_pushad)
        pushal
        int3
REAL_PIECE(r_segments)
        pushw %fs
        mov $0xF123, %ax
        mov %ax, %fs
        pushw %fs
        pop %ebx
        popw %ax
        lss %cs:(1f - real_start), %cx
        mov %ss, %dx
        int3
1:      .word 0x4444, REAL >> 4
REAL_PIECE(r_les)
        les %cs:(1f - real_start), %di
        mov %es, %ax
        lds %cs:(1f - real_start + 4), %esi
        mov %ds, %bx
        int3
1:      .word 0x1234, 0x5678
        .long 0xABCDEF01
        .word 0x9ABC
REAL_PIECE(r_wrap)
        mov $0x10000, %esp
        pushw %ax
        pushl %ebx
        mov %esp, %ecx
        mov $0x8000, %sp
        int3
REAL_PIECE(r_addresses)
        mov $0x7000, %bx
        mov $0xF100, %si
        movw $0x5A5A, (%bx, %si)
        mov 0x6100, %ax
        mov $0x6100, %edx
        mov (%edx), %cx
        lea 0x1234(%bx, %si), %di
        lea -1(%ebx, %esi, 4), %esi
        int3
REAL_PIECE(r_protected_only)
        lldt %ax
REAL_PIECE(r_arpl)
        .byte 0x63, 0xC8
REAL_PIECE(r_smsw)
        smsw %ax
        sti
        nop
        pushf
        popw %bx
        int3
REAL_PIECE(r_sgdt)
        sgdt %ss:0x7000
        mov %ss:0x7000, %eax
        mov %ss:0x7004, %bx
        int3
REAL_PIECE(r_loop)
        mov $0x30002, %ecx
        xor %ax, %ax
1:      inc %ax
        loop 1b
        jcxz 2f
        ud2
2:      int3
REAL_PIECE(r_strings)
        pushw %cs
        popw %ds
        mov $(2f - real_start), %si
        mov $0x7100, %di
        mov $0x50003, %ecx
        rep movsb
        mov %es:0x7100, %eax
        int3
2:      .byte 1, 2, 3, 4
REAL_PIECE(r_enter)
        enter $8, $2
        mov %sp, %ax
        mov %bp, %bx
        leave
        mov %sp, %cx
        int3
REAL_PIECE(r_call)
        call 1f
        mov %sp, %bx
        int3
1:      mov %sp, %ax
        ret
REAL_PIECE(r_call32)
        calll 1f
        mov %sp, %bx
        int3
1:      mov %sp, %ax
        retl
from_far16:
        mov %cs, %bx
        pushw %cs
        pushl $0x12345678
        ud2
real_end:
        .code32
        .text
real_leave:
        mov $0x10, %eax
        mov %eax, %ds
        mov %eax, %es
        mov %eax, %ss
        mov $(REAL + real_trap - real_start), %esi
        mov $trap, %edi
        mov $19, %ecx
        cld
        rep movsl
        jmp legacy_leave

/* Pieces of 32 bits. */
#define PIECE32(name) .globl name; name:
PIECE32(p_int3)
        int3
PIECE32(p_int)
        int $0x40
PIECE32(p_int_trap)
        int $0x41
PIECE32(p_int_absent)
        int $0x42
PIECE32(p_int_none)
        int $0x43
PIECE32(p_int_beyond)
        int $0xF0
PIECE32(p_int_conforming)
        int $0x44
PIECE32(p_int_null)
        int $0x45
PIECE32(p_int_data)
        int $0x46
PIECE32(p_int_open)
        int $0x80
PIECE32(p_ud2)
        ud2
PIECE32(p_into)
        mov $0x7F, %al
        add $1, %al
        into
PIECE32(p_bound)
        bound %eax, %cs:1f
        nop
1:      .long -5, 5
PIECE32(p_cli)
        cli
        int3
PIECE32(p_hlt)
        hlt
PIECE32(p_in)
        in %dx, %al
        int3
PIECE32(p_lgdt)
        lgdt legacy_gdtr
PIECE32(p_load_ds)
        mov %ax, %ds
        mov %ds, %bx
        int3
PIECE32(p_load_ss)
        mov %ax, %ss
        mov %ss, %bx
        int3
PIECE32(p_pop_es)
        push %eax
        pop %es
        int3
PIECE32(p_jump_far)
        push %eax
        push $1f
        ljmp *(%esp)
        ud2
1:      mov %cs, %ebx
        ud2
PIECE32(p_call_far)
        push $0x7777
        push $0x6666
        push %eax
        push $1f
        lcall *(%esp)
        ud2
1:      mov %cs, %ebx
        mov %ss, %ecx
        ud2
        .globl gate_target
gate_target:
        mov %cs, %ebx
        mov %ss, %ecx
        ud2
        .globl gate_return
gate_return:
        lret $8
PIECE32(p_gate_and_back)
        push $0x7777
        push $0x6666
        lcall $0x8B, $0
        mov %cs, %eax
        mov %ss, %ebx
        mov %ds, %ecx
        ud2
PIECE32(p_return)
        push %ebx
        push $0x12345678
        push %eax
        push $1f
        lret
        ud2
1:      mov %cs, %ecx
        ud2
PIECE32(p_iret)
        push %ebx
        push $user_top
        push $0x46
        push %eax
        push $1f
        iret
1:      mov %cs, %ecx
        mov %ds, %edx
        ud2
PIECE32(p_ltr)
        ltr %ax
        ud2
PIECE32(p_lldt)
        lldt %ax
        ud2
PIECE32(p_lar)
        mov $0x5555, %ebx
        mov $0x6666, %ecx
        mov $0, %edx
        lar %ax, %ebx
        jnz 1f
        and $0xFFF0FFFF, %ebx           /* the limit's bits are undefined */
        or $1, %edx
1:      lsl %ax, %ecx
        jnz 1f
        or $2, %edx
1:      verr %ax
        jnz 1f
        or $4, %edx
1:      verw %ax
        jnz 1f
        or $8, %edx
1:      ud2
PIECE32(p_arpl)
        arpl %bx, %ax
        setz %cl
        ud2
PIECE32(p_pushes)
        push %cs
        pushw %cs
        pushfw
        popw %bx
        pushw $0x7777
        push $-2
        pusha
        ud2
PIECE32(p_popa)
        push $1
        push $2
        push $3
        push $4
        push $5
        push $6
        push $7
        push $8
        popa
        ud2
PIECE32(p_enter)
        enter $16, $3
        mov %esp, %eax
        mov %ebp, %ebx
        leave
        ud2
PIECE32(p_address16)
        mov $0x10008, %ecx
        mov $0, %eax
1:      inc %eax
        addr16 loop 1b
        addr16 lea -2(%bx, %si), %edx
        ud2
PIECE32(p_sgdt16)
        sgdtw 1f
        mov 1f, %eax
        mov 1f + 4, %bx
        ud2
1:      .long 0, -1
PIECE32(p_syscall)
        syscall
PIECE32(p_far16)
        ljmp $0x30, $(from_far16 - real_start)
        .data
        .code32
        .balign 16
        .globl legacy_gdt
legacy_gdt:
        .quad 0
        .quad 0x00CF9B000000FFFF        /* 08 code */
        .quad 0x00CF93000000FFFF        /* 10 data */
        .quad 0x00CFFB000000FFFF        /* 18 user's code */
        .quad 0x00CFF3000000FFFF        /* 20 user's data */
        .quad 0                         /* 28 TSS, filled in later */
        .quad 0x00009B000000FFFF | REAL << 16 /* 30 code of 16 bits */
        .quad 0x000093000000FFFF | REAL << 16 /* 38 data of 16 bits */
        .quad 0x00CF9F000000FFFF        /* 40 conforming code */
        .quad 0x00CF13000000FFFF        /* 48 data that is not present */
        .quad 0x00CF91000000FFFF        /* 50 read-only data */
        .quad 0x00CF99000000FFFF        /* 58 code that cannot be read */
        .quad 0x00CF1B000000FFFF        /* 60 code that is not present */
        .quad 0x0040970000000000        /* 68 data that expands down to offset 1 */
        .quad 0x0000820000000007        /* 70 LDT */
        .fill 8, 8, 0                   /* 78 gates, filled in later */
        .globl legacy_gdtr
legacy_gdtr:
        .word . - legacy_gdt - 1
        .quad legacy_gdt
legacy_idtr:
        .word 0x90 * 8 - 1
        .quad legacy_idt

        .bss
        .balign 16
        .globl legacy_idt, legacy_task, job, trap, legacy_stack_top, user_top
legacy_idt: .fill 0x90, 8
legacy_task: .fill 104
        .balign 16
        .fill 2048
legacy_stack_top:
        .fill 64
        .fill 2048
user_top:
        .fill 64
job:    .fill 9, 4
trap:   .fill 19, 4
legacy_back: .quad 0
        .section .note.GNU-stack, "", @progbits
