//! From one mode to another.

use iced_x86::code_asm::*;

use crate::pc::{CODE, GDT, Pc};
use machine::cpu::state::{cr0, efer};

/// Page tables that map the first 2 MiB to themselves.
fn identity(pc: &mut Pc) {
    pc.put(0x10_0000, 8, 0x10_1003);
    pc.put(0x10_1000, 8, 0x10_2003);
    pc.put(0x10_2000, 8, 0x83);
}

/// The way of a kernel's further CPUs: a page in low memory, CS from the start-up vector, tables
/// loaded relative to it, protected mode, and on to 64 bits.
#[test]
fn a_started_cpu_finds_its_way_to_64_bits() {
    let mut pc = Pc::real();
    identity(&mut pc);
    for (i, descriptor) in [
        0x00CF_9B00_0000_FFFF,
        0x00CF_9300_0000_FFFF,
        0x00AF_9B00_0000_FFFF,
    ]
    .into_iter()
    .enumerate()
    {
        pc.put(GDT + 8 + 8 * i as u64, 8, descriptor);
    }
    pc.put(CODE + 0x800, 8, 0x1F | GDT << 16);
    pc.put(CODE + 0x810, 8, 0);
    pc.program16(|a| {
        a.cli()?;
        a.wbinvd()?;
        a.mov(ax, cs)?;
        a.mov(ds, ax)?;
        a.mov(ss, ax)?;
        a.db(&[0x66, 0x0F, 0x01, 0x1E, 0x10, 0x08])?; // lidtl [0x810]
        a.db(&[0x66, 0x0F, 0x01, 0x16, 0x00, 0x08])?; // lgdtl [0x800]
        a.mov(eax, cr0)?;
        a.or(eax, 1)?;
        a.mov(cr0, eax)?;
        a.db(&[0x66, 0xEA, 0x00, 0x81, 0x00, 0x00, 0x08, 0x00]) // ljmpl $8, $0x8100
    });
    pc.program(CODE + 0x100, (32, CODE + 0x100), |a| {
        a.mov(eax, 0x10)?;
        a.mov(ds, eax)?;
        a.mov(ss, eax)?;
        a.mov(eax, cr4)?;
        a.or(eax, 0x20)?;
        a.mov(cr4, eax)?;
        a.mov(eax, 0x10_0000)?;
        a.mov(cr3, eax)?;
        a.mov(ecx, 0xC000_0080u32)?;
        a.rdmsr()?;
        a.or(eax, 0x100)?;
        a.wrmsr()?;
        a.mov(eax, cr0)?;
        a.or(eax, 0x8000_0000u32 as i32)?;
        a.mov(cr0, eax)?;
        a.jmp_far(0x18, 0x8200)
    });
    pc.program(CODE + 0x200, (64, CODE + 0x200), |a| {
        a.mov(r15, 0x1234_5678_9ABC_DEF0u64)?;
        a.hlt()
    });
    pc.run().unwrap();
    assert_eq!(pc.cpu.gpr[15], 0x1234_5678_9ABC_DEF0);
    assert!(pc.cpu.code64());
    assert_ne!(pc.cpu.msr.efer & efer::LMA, 0);
}

/// What firmware does to call its 16-bit parts: through a code segment of 16 bits to real mode,
/// where the limits of protected mode stay until a segment of 64 KiB has been loaded.
#[test]
fn protected_mode_can_be_left_again() {
    let mut pc = Pc::protected();
    pc.put(4 * 0x10, 4, 0x0900_0000);
    pc.program(0x9000, (16, 0), |a| {
        a.mov(dx, cs)?;
        a.iret()
    });
    pc.program32(|a| {
        a.mov(word_ptr(0x20_0000), 0x7777)?;
        a.jmp_far(0x30, 0x8100)
    });
    pc.program(CODE + 0x100, (16, 0x8100), |a| {
        a.mov(eax, cr0)?;
        a.and(al, !1)?;
        a.mov(cr0, eax)?;
        a.jmp_far(0, 0x8200)
    });
    pc.program(CODE + 0x200, (16, 0x8200), |a| {
        a.xor(ax, ax)?;
        a.mov(ds, ax)?;
        a.mov(ebx, 0x20_0000)?;
        // Unreal mode.
        a.mov(cx, word_ptr(ebx))?;
        a.mov(ss, ax)?;
        a.mov(esp, 0x7000)?;
        a.db(&[0x66, 0x0F, 0x01, 0x1E, 0x00, 0x70])?; // lidtl [0x7000]
        a.int(0x10)?;
        a.hlt()
    });
    pc.put(0x7000, 6, 0x3FF);
    pc.run().unwrap();
    assert_eq!((pc.cpu.gpr[1], pc.cpu.gpr[2]), (0x7777, 0x900));
    assert_eq!(pc.cpu.cr0 & cr0::PE, 0);
    assert_eq!(pc.cpu.seg[1].selector, 0);
}

#[test]
fn starting_up_keeps_what_init_keeps() {
    let mut pc = Pc::protected();
    pc.cpu.xmm[3] = 7;
    pc.cpu.cycle = 99;
    pc.cpu.msr.efer = efer::LME | efer::NXE;
    pc.cpu.cr0 |= cr0::CD;
    pc.cpu.start_up(0x9A);
    let cpu = &pc.cpu;
    assert_eq!(
        (cpu.seg[1].selector, cpu.seg[1].base, cpu.rip),
        (0x9A00, 0x9_A000, 0)
    );
    assert_eq!((cpu.xmm[3], cpu.cycle, cpu.msr.efer), (7, 99, 0));
    assert_eq!(cpu.cr0, cr0::CD | cr0::ET);
    assert_eq!((cpu.cpl(), cpu.code_bits()), (0, 16));
}
