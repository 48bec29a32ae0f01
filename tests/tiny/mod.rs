//! Kernels of a few instructions, in 32-bit code at 1 MiB, for tests that need
//! a machine but no operating system.
#![allow(dead_code, reason = "no test uses all of it")]

/// Sends `hi` to the serial port and exits with 5.
pub(crate) const EXIT: &[u8] = &[
    0x66, 0xBA, 0xF8, 0x03, // mov dx, 0x3F8
    0xB0, b'h', 0xEE, // mov al, 'h'; out dx, al
    0xB0, b'i', 0xEE, // mov al, 'i'; out dx, al
    0xB8, 5, 0, 0, 0, // mov eax, 5
    0xE7, 0xF4, // out 0xF4, eax
    0xEB, 0xFE, // jmp .
];

/// An undefined instruction, and nothing to handle it.
pub(crate) const TRIPLE_FAULT: &[u8] = &[0x0F, 0x0B]; // ud2

/// Halts with interrupts off.
pub(crate) const ASLEEP: &[u8] = &[0xFA, 0xF4]; // cli; hlt

/// Goes on for ever.
pub(crate) const FOREVER: &[u8] = &[0xEB, 0xFE]; // jmp .

/// Sends a dot to the serial port about every ten thousand cycles, for ever.
/// CPUID takes many cycles and little of the host's time.
pub(crate) const TICKER: &[u8] = &[
    0xBE, 160, 0, 0, 0, // mov esi, 160
    0x0F, 0xA2, // cpuid
    0x4E, // dec esi
    0x75, 0xFB, // jnz to the cpuid
    0xBA, 0xF8, 0x03, 0, 0, // mov edx, 0x3F8
    0xB0, b'.', 0xEE, // mov al, '.'; out dx, al
    0xEB, 0xEC, // jmp to the mov esi
];

/// Waits for a byte at the serial port, sends it back and exits with it.
pub(crate) const ECHO: &[u8] = &[
    0x66, 0xBA, 0xFD, 0x03, // mov dx, 0x3FD
    0xEC, // in al, dx
    0xA8, 0x01, // test al, 1
    0x74, 0xFB, // jz to the in
    0x66, 0xBA, 0xF8, 0x03, // mov dx, 0x3F8
    0xEC, // in al, dx
    0xEE, // out dx, al
    0x0F, 0xB6, 0xC0, // movzx eax, al
    0xE7, 0xF4, // out 0xF4, eax
    0xEB, 0xFE, // jmp .
];

/// Sends each byte back that comes in through the serial port, for ever.
pub(crate) const ECHOES: &[u8] = &[
    0x66, 0xBA, 0xFD, 0x03, // mov dx, 0x3FD
    0xEC, // in al, dx
    0xA8, 0x01, // test al, 1
    0x74, 0xFB, // jz to the in
    0x66, 0xBA, 0xF8, 0x03, // mov dx, 0x3F8
    0xEC, // in al, dx
    0xEE, // out dx, al
    0xEB, 0xEF, // jmp to the start
];

/// An ELF with a PVH note that enters this code.
pub(crate) fn kernel(code: &[u8]) -> Vec<u8> {
    const PLACE: u64 = 0x10_0000;
    const NOTE: u64 = 64 + 2 * 56;
    const CODE: u64 = NOTE + 20;
    let mut elf = vec![0x7F, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    elf.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    for word in [PLACE, 64, 0] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend([0, 0, 0, 0, 64, 0, 56, 0, 2, 0, 64, 0, 0, 0, 0, 0]);
    segment(&mut elf, 4, NOTE, 0, 20);
    segment(&mut elf, 1, CODE, PLACE, code.len() as u64);
    for word in [4u32, 4, 18] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(b"Xen\0");
    elf.extend((PLACE as u32).to_le_bytes());
    elf.extend(code);
    elf
}

fn segment(elf: &mut Vec<u8>, kind: u32, offset: u64, place: u64, size: u64) {
    elf.extend(kind.to_le_bytes());
    elf.extend(7u32.to_le_bytes());
    for word in [offset, place, place, size, size, 1] {
        elf.extend(word.to_le_bytes());
    }
}
