//! Kernels of a few instructions: 32-bit code behind 4-level page tables, with a
//! PVH note, as a file that [`machine::Machine::boot`] takes.

use iced_x86::IcedError;
use iced_x86::code_asm::*;

/// Where the code lies.
pub(crate) const CODE: u64 = 0x20_0000;

/// What a kernel does.
pub(crate) type Body = fn(&mut CodeAssembler) -> Result<(), IcedError>;

/// A kernel that turns 4-level paging on, one to one, and runs this in 64-bit
/// compatibility with what kernels do most: everything through the TLB.
pub(crate) fn assemble(body: Body) -> Result<Vec<u8>, IcedError> {
    let mut a = CodeAssembler::new(32)?;
    // Three tables below the code: 0x10_0000 maps the first 1 GiB by 2 MiB pages.
    a.mov(dword_ptr(0x10_0000), 0x10_1003)?;
    a.mov(dword_ptr(0x10_1000), 0x10_2003)?;
    a.mov(eax, 0x83)?;
    a.mov(edi, 0x10_2000)?;
    let mut fill = a.create_label();
    a.set_label(&mut fill)?;
    a.mov(dword_ptr(edi), eax)?;
    a.add(edi, 8)?;
    a.add(eax, 0x20_0000)?;
    a.cmp(edi, 0x10_3000)?;
    a.jne(fill)?;
    a.mov(eax, 0x10_0000)?;
    a.mov(cr3, eax)?;
    a.mov(eax, 0x20)?;
    a.mov(cr4, eax)?;
    a.mov(ecx, 0xC000_0080_u32 as i32)?;
    a.mov(eax, 0x100)?;
    a.xor(edx, edx)?;
    a.wrmsr()?;
    a.mov(eax, 0x8001_0011_u32 as i32)?;
    a.mov(cr0, eax)?;
    body(&mut a)?;
    Ok(wrap(&a.assemble(CODE)?))
}

/// An ELF file with a PVH note around this code.
fn wrap(code: &[u8]) -> Vec<u8> {
    let mut elf = Vec::new();
    let note_at: u64 = 64 + 2 * 56;
    elf.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    elf.extend([2_u16, 62].iter().flat_map(|half| half.to_le_bytes()));
    elf.extend(1_u32.to_le_bytes());
    elf.extend([CODE, 64, 0].iter().flat_map(|word| word.to_le_bytes()));
    elf.extend(0_u32.to_le_bytes());
    elf.extend(
        [64_u16, 56, 2, 0, 0, 0]
            .iter()
            .flat_map(|half| half.to_le_bytes()),
    );
    let len = code.len() as u64;
    for (kind, at, place, size) in [(1_u32, note_at + 20, CODE, len), (4, note_at, 0, 20)] {
        elf.extend(kind.to_le_bytes());
        elf.extend(7_u32.to_le_bytes());
        let words = [at, place, place, size, size, 4];
        elf.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    }
    elf.extend([4_u32, 4, 18].iter().flat_map(|word| word.to_le_bytes()));
    elf.extend(b"Xen\0");
    elf.extend((CODE as u32).to_le_bytes());
    elf.extend(code);
    elf
}
