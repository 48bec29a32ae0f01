//! Call gates.

use iced_x86::code_asm::*;

use crate::pc::{CODE, GDT, Pc};
use machine::cpu::state::{Segment, cr0, cr4, efer};

/// A CPU at level 3 with a call gate of this type and count in descriptor 0x40.
fn with_gate(kind: u64, count: u64) -> Pc {
    let mut pc = Pc::protected();
    pc.cpu.seg = [Segment::flat(0x23, 0xC0F3); 6];
    pc.cpu.seg[1] = Segment::flat(0x1B, 0xC0FB);
    pc.cpu.gpr[4] = 0x7000;
    pc.put(GDT + 0x40, 8, 0xA000 | 8 << 16 | count << 32 | kind << 40);
    pc
}

fn vector(pc: &Pc) -> u64 {
    (pc.cpu.rip - 0x9001) / 16
}

#[test]
fn a_call_to_an_inner_level_copies_its_parameters() {
    let mut pc = with_gate(0xEC, 2);
    pc.program(0xA000, (32, 0xA000), |a| {
        a.mov(eax, dword_ptr(esp + 8))?;
        a.mov(ebx, dword_ptr(esp + 12))?;
        a.mov(ecx, cs)?;
        a.db(&[0xCA, 8, 0]) // retf 8
    });
    pc.program32(|a| {
        a.push(0x22)?;
        a.push(0x11)?;
        a.call_far(0x43, 0)?;
        a.mov(edx, cs)?;
        a.ud2()
    });
    pc.run().unwrap();
    assert_eq!(vector(&pc), 6);
    assert_eq!(&pc.cpu.gpr[..4], [0x11, 8, 0x1B, 0x22]);
    // SS, ESP, the parameters, CS, EIP, downwards; #UD's frame has taken their places.
    assert_eq!(pc.get(0x6000 - 8, 4), 0x7000, "the parameters are gone");
    assert_eq!(pc.get(0x6000 - 24, 4), CODE + 4 + 7);
}

#[test]
fn a_286_gate_copies_words() {
    let mut pc = with_gate(0xE4, 1);
    pc.program(0xA000, (32, 0xA000), |a| a.hlt());
    pc.program32(|a| {
        a.push(0x33)?;
        a.call_far(0x43, 0)
    });
    pc.run().unwrap();
    assert_eq!(pc.cpu.gpr[4], 0x6000 - 10);
    assert_eq!(
        pc.stack(0x6000 - 10, 2),
        [CODE + 2 + 7, 0x1B, 0x33, 0x7000 - 4, 0x23]
    );
}

#[test]
fn a_jump_through_a_gate_stays_at_its_level() {
    let mut pc = with_gate(0xEC, 0);
    pc.program32(|a| a.jmp_far(0x43, 0));
    pc.run().unwrap();
    assert_eq!((vector(&pc), pc.get(0x6000 - 24, 4)), (13, 8));

    let mut pc = with_gate(0xEC, 0);
    // A conforming segment takes all.
    pc.put(GDT + 8, 8, 0x00CF_9F00_0000_FFFF);
    pc.program(0xA000, (32, 0xA000), |a| a.mov(ecx, cs));
    pc.program32(|a| a.jmp_far(0x43, 0));
    pc.step().unwrap();
    pc.step().unwrap();
    assert_eq!(pc.cpu.gpr[1], 0xB);
}

#[test]
fn a_gate_may_be_closed_or_absent() {
    for (kind, vector_of, code) in [(0x8C, 13, 0x40), (0x6C, 11, 0x40), (0xEE, 13, 0x40)] {
        let mut pc = with_gate(kind, 0);
        pc.program32(|a| a.call_far(0x43, 0));
        pc.run().unwrap();
        assert_eq!(
            (vector(&pc), pc.get(0x6000 - 24, 4)),
            (vector_of, code),
            "{kind:#x}"
        );
    }
}

/// A gate of IA-32e mode has 16 bytes and leads to 64-bit code.
#[test]
fn a_call_gate_of_ia_32e_mode_pushes_quadwords() {
    let mut pc = with_gate(0xEC, 0);
    pc.put(0x10_0000, 8, 0x10_1007);
    pc.put(0x10_1000, 8, 0x10_2007);
    pc.put(0x10_2000, 8, 0x87);
    pc.put(GDT + 8, 8, 0x00AF_9B00_0000_FFFF);
    pc.put(GDT + 0x48, 8, 0);
    pc.put(crate::pc::TSS + 4, 8, 0x6000);
    pc.cpu.cr4 |= cr4::PAE;
    pc.cpu.cr3 = 0x10_0000;
    pc.cpu.cr0 |= cr0::PG;
    pc.cpu.msr.efer = efer::LME | efer::LMA;
    pc.program(0xA000, (64, 0xA000), |a| {
        a.mov(rax, rsp)?;
        a.hlt()
    });
    // From compatibility mode.
    pc.program32(|a| a.call_far(0x43, 0));
    pc.run().unwrap();
    assert!(pc.cpu.code64());
    assert_eq!((pc.cpu.cpl(), pc.cpu.seg[2].selector), (0, 0));
    assert_eq!(pc.cpu.gpr[0], 0x6000 - 32);
    assert_eq!(pc.stack(0x6000 - 32, 8), [CODE + 7, 0x1B, 0x7000, 0x23]);
}
