//! From the PVH entry (32-bit, paging off) to `kernel_main` in long mode.
//!
//! The loader enters at `pvh_start` with the start-info block's address in
//! `ebx`. Here the first page tables are built: all memory below 4 GiB at its
//! own address (until `forget_identity_map`), again in the direct map, and the
//! first GiB where the kernel is linked.

use core::arch::global_asm;

use super::layout::DIRECT_MAP;

global_asm!(
    r#"
    .section .note.Xen, "a", @note
    .balign 4
    .long 4
    .long 8
    .long 18
    .asciz "Xen"
    .quad pvh_start

    .section .boot, "ax", @progbits
    .code32
    .globl pvh_start
pvh_start:
    cli
    cld
    movl %ebx, %ebp

    # Four page directories: 2048 entries of 2 MiB. The fourth GiB holds
    # devices and is not cached.
    movl $(boot_directories - {base}), %edi
    xorl %ecx, %ecx
1:  movl %ecx, %eax
    shll $21, %eax
    orl  $0x183, %eax
    cmpl $1536, %ecx
    jb 2f
    orl  $0x18, %eax
2:  movl %eax, (%edi,%ecx,8)
    movl $0, 4(%edi,%ecx,8)
    incl %ecx
    cmpl $2048, %ecx
    jb 1b

    movl $(boot_directories - {base} + 3), %eax
    movl $(boot_direct - {base}), %edi
    xorl %ecx, %ecx
3:  movl %eax, (%edi,%ecx,8)
    addl $0x1000, %eax
    incl %ecx
    cmpl $4, %ecx
    jb 3b

    movl $(boot_directories - {base} + 3), (boot_kernel - {base} + 510*8)
    movl $(boot_direct - {base} + 3), (boot_root - {base})
    movl $(boot_direct - {base} + 3), (boot_root - {base} + 256*8)
    movl $(boot_kernel - {base} + 3), (boot_root - {base} + 511*8)

    # PAE, global pages, FXSAVE, SSE exceptions.
    movl $0x6A0, %eax
    movl %eax, %cr4
    movl $(boot_root - {base}), %eax
    movl %eax, %cr3
    # SYSCALL, long mode, no-execute.
    movl $0xC0000080, %ecx
    movl $0x901, %eax
    xorl %edx, %edx
    wrmsr
    # Paging, write protection in the kernel too, native FPU errors.
    movl $0x80010033, %eax
    movl %eax, %cr0
    lgdt boot_gdt_pointer
    ljmp $0x10, $boot_long

    .code64
boot_long:
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    movl $0x18, %eax
    movl %eax, %ss
    movabsq $boot_high, %rax
    jmpq *%rax

    .balign 8
boot_gdt:
    .quad 0
    .quad 0
    .quad 0x00AF9B000000FFFF
    .quad 0x00CF93000000FFFF
boot_gdt_pointer:
    .word 31
    .long boot_gdt

    .section .text.boot_high, "ax", @progbits
boot_high:
    movq $boot_stack_top, %rsp
    movl %ebp, %edi
    xorl %ebp, %ebp
    pushq $0
    jmp kernel_main

    .section .bss.boot, "aw", @nobits
    .balign 4096
boot_root:
    .skip 4096
boot_direct:
    .skip 4096
boot_kernel:
    .skip 4096
boot_directories:
    .skip 4 * 4096
boot_stack_guard:
    .skip 4096
    .skip 8 * 4096
    .globl boot_stack_top
boot_stack_top:
    .text
    "#,
    base = const super::layout::KERNEL_BASE,
    options(att_syntax)
);

unsafe extern "C" {
    static boot_stack_top: u8;
    static __kernel_end: u8;
}

/// The top of the stack on which boot runs; it becomes the idle task's.
#[must_use]
pub fn stack_top() -> u64 {
    &raw const boot_stack_top as u64
}

/// The first physical address behind the kernel's image.
#[must_use]
pub fn kernel_end() -> u64 {
    &raw const __kernel_end as u64 - super::layout::KERNEL_BASE
}

/// Removes the mapping of memory at its own address: from here on every
/// address below half belongs to user tasks.
pub fn forget_identity_map() {
    let root = (DIRECT_MAP + super::paging::root()) as *mut u64;
    // SAFETY: the entry is only used by the boot code, which is behind us; the
    // mappings are global, so each is dropped by switching global pages off.
    unsafe {
        root.write_volatile(0);
        let cr4: u64;
        core::arch::asm!("mov {}, cr4", out(reg) cr4, options(nomem, nostack, preserves_flags));
        core::arch::asm!("mov cr4, {}", in(reg) cr4 & !0x80, options(nostack, preserves_flags));
        core::arch::asm!("mov cr4, {}", in(reg) cr4, options(nostack, preserves_flags));
    }
}
