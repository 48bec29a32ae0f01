/* The first sector of a disk for computers that boot no ELF file: loads the
 * command line (the next sector) and the kernel (the following ones, as they
 * lie in memory) and jumps to it as a PVH loader does. */

    .set CHUNK, 64              /* sectors that are read at a time */
    .set BUFFER, 0x10000
    .set LINE, 0x8000
    .set START_INFO, 0x7000
    .set KERNEL, 0x200000

    .code16
    .globl boot
boot:
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7C00, %sp
    movb %dl, drive
    inb $0x92, %al              /* address line 20 */
    orb $2, %al
    outb %al, $0x92
    call read                   /* the command line */
    movw $CHUNK, sectors
    movl $BUFFER >> 4 << 16, place
    incl sector
1:  call read
    call move
    addl $CHUNK, sector
    subw $CHUNK, left
    ja 1b
    movl $LINE, START_INFO + 24
    movl $0, START_INFO + 28
    lgdtl table_pointer
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $8, $2f
    .code32
2:  movw $16, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $START_INFO, %ebx
    movl $KERNEL, %eax
    jmp *%eax

    .code16
read:
    movb $0x42, %ah
    movb drive, %dl
    movw $packet, %si
    int $0x13
    jc fail
    ret

/* From the buffer to where the kernel goes, with segments that reach so far. */
move:
    lgdtl table_pointer
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    movw $16, %bx
    movw %bx, %ds
    movw %bx, %es
    andb $0xFE, %al
    movl %eax, %cr0
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movl $BUFFER, %esi
    movl target, %edi
    movl $CHUNK * 128, %ecx
    addr32 rep movsl
    movl %edi, target
    ret

fail:
    hlt
    jmp fail

    .balign 4
packet:
    .byte 16, 0
sectors:
    .word 1
place:
    .word LINE, 0
sector:
    .long 1, 0
target:
    .long KERNEL
drive:
    .byte 0

    .balign 8
table:
    .quad 0
    .quad 0x00CF9B000000FFFF
    .quad 0x00CF93000000FFFF
table_pointer:
    .word . - table - 1
    .long table

    .org 508
left:
    .word 0                     /* sectors of the kernel: who makes the disk says */
    .word 0xAA55
