//! From the PVH entry to the first random instruction.

use iced_x86::IcedError;
use iced_x86::code_asm::*;

use super::guest::Nature;
use super::layout::*;

/// Where the file is entered, in 32-bit mode.
pub(super) const ENTRY: u64 = BASE;
/// Operands of LGDT and LIDT.
const GDTR: u64 = BASE + 0x700;
const IDTR: u64 = BASE + 0x710;

const APIC: u64 = 0xFEE0_0000;

/// Everything from [`ENTRY`] on.
pub(super) fn start(nature: &Nature) -> Vec<u8> {
    let mut bytes = entry(nature);
    bytes.resize((GDTR - BASE) as usize, 0);
    bytes.extend(63u16.to_le_bytes());
    bytes.extend(GDT.to_le_bytes());
    bytes.resize((IDTR - BASE) as usize, 0);
    bytes.extend(0xFFFu16.to_le_bytes());
    bytes.extend(IDT.to_le_bytes());
    bytes.resize((LONG - BASE) as usize, 0);
    bytes.extend(long(nature).expect("code that can be put together"));
    bytes
}

/// To long mode. Words of bytes, since nothing here depends on anything.
fn entry(nature: &Nature) -> Vec<u8> {
    let mut code = Vec::new();
    let mut with = |opcode: &[u8], value: u64, then: &[u8]| {
        code.extend(opcode);
        code.extend((value as u32).to_le_bytes());
        code.extend(then);
    };
    const EAX: &[u8] = &[0xB8];
    let mut control = 0x620;
    if nature.avx {
        control |= 1 << 18;
    }
    if nature.smap {
        control |= 1 << 21;
    }
    let protected = 0x8001_0033 | u64::from(nature.align) << 18;
    with(EAX, PML4, &[0x0F, 0x22, 0xD8]);
    with(EAX, control, &[0x0F, 0x22, 0xE0]);
    // EFER: LME, NXE and SCE.
    with(&[0xB9], 0xC000_0080, &[0x31, 0xD2]);
    with(EAX, 0x901, &[0x0F, 0x30]);
    with(EAX, protected, &[0x0F, 0x22, 0xC0]);
    with(&[0x0F, 0x01, 0x15], GDTR, &[]);
    with(&[0xEA], LONG, &KERNEL_CODE.to_le_bytes());
    code
}

/// From 64-bit mode to the first landing.
fn long(nature: &Nature) -> Result<Vec<u8>, IcedError> {
    let mut a = CodeAssembler::new(64)?;
    a.mov(eax, u32::from(KERNEL_DATA))?;
    a.mov(ds, eax)?;
    a.mov(es, eax)?;
    a.mov(ss, eax)?;
    a.mov(esp, STACK as u32)?;
    a.mov(eax, u32::from(TASK))?;
    a.ltr(ax)?;
    a.lidt(ptr(IDTR))?;
    let star = u64::from(USER_BASE) << 48 | u64::from(KERNEL_CODE) << 32;
    msr(&mut a, 0xC000_0081, star)?;
    msr(&mut a, 0xC000_0082, STUBS + 0x2000)?;
    msr(&mut a, 0xC000_0084, 0x4_7700)?;
    msr(&mut a, 0xC000_0100, DATA)?;
    msr(&mut a, 0xC000_0101, DATA + 0x1800)?;
    if nature.avx {
        a.mov(eax, 7)?;
        a.xor(edx, edx)?;
        a.xor(ecx, ecx)?;
        a.xsetbv()?;
    }
    let device = [
        (0xF0, 0x1FF),
        (0x3E0, 0xB),
        (0x340, 0x50),
        (0x320, 0x2_0040),
        (0x380, nature.ticks),
    ];
    a.mov(rbx, APIC)?;
    for (register, value) in device {
        a.mov(dword_ptr(rbx + register), value)?;
    }
    a.fxrstor(ptr(FX))?;
    leave(&mut a, nature)?;
    a.assemble(LONG)
}

fn msr(a: &mut CodeAssembler, number: u32, value: u64) -> Result<(), IcedError> {
    a.mov(ecx, number)?;
    a.mov(eax, value as u32)?;
    a.mov(edx, (value >> 32) as u32)?;
    a.wrmsr()
}

/// Enters random code at its first landing, with interrupts on.
fn leave(a: &mut CodeAssembler, nature: &Nature) -> Result<(), IcedError> {
    let (code, data) = match nature.user {
        true => (USER_CODE, USER_DATA),
        false => (KERNEL_CODE, KERNEL_DATA),
    };
    a.push(i32::from(data))?;
    a.push(TOP as i32)?;
    a.push(0x202)?;
    a.push(i32::from(code))?;
    a.push(qword_ptr(LANDINGS))?;
    pointers(a)?;
    for register in [rax, rcx, rdx, r8, r9, r10, r11, r14, r15] {
        a.xor(register, register)?;
    }
    a.iretq()
}

/// Lets the registers that random code takes for pointers point somewhere.
pub(super) fn pointers(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.mov(ebx, DATA as u32)?;
    a.mov(esi, (DATA + 0x1100) as u32)?;
    a.mov(edi, (DATA + 0x2200) as u32)?;
    a.mov(ebp, (DATA + 0x3FF0) as u32)?;
    a.mov(r12d, (DATA_READ_ONLY + 0x800) as u32)?;
    a.mov(r13d, (CODE_ALIAS + 0x40) as u32)
}
