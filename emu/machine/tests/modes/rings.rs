//! Interrupts and exceptions of protected mode, between levels.

use iced_x86::code_asm::*;

use crate::pc::{CODE, Pc, TSS};
use machine::cpu::Halt;
use machine::cpu::state::{Segment, flag};

/// A CPU at level 3.
fn user() -> Pc {
    let mut pc = Pc::protected();
    pc.cpu.seg = [Segment::flat(0x23, 0xC0F3); 6];
    pc.cpu.seg[1] = Segment::flat(0x1B, 0xC0FB);
    pc.cpu.gpr[4] = 0x7000;
    pc
}

/// The vector whose handler has halted.
fn vector(pc: &Pc) -> u64 {
    (pc.cpu.rip - 0x9001) / 16
}

#[test]
fn an_exception_comes_in_on_the_stack_of_the_task() {
    let mut pc = user();
    pc.program32(|a| {
        a.nop()?;
        a.cli()
    });
    pc.run().unwrap();
    assert_eq!(vector(&pc), 13);
    assert_eq!((pc.cpu.cpl(), pc.cpu.seg[2].selector), (0, 0x10));
    assert_eq!(pc.cpu.gpr[4], 0x6000 - 24);
    assert_eq!(
        pc.stack(0x6000 - 24, 4),
        [0, CODE + 1, 0x1B, flag::RF | flag::FIXED, 0x7000, 0x23]
    );
}

#[test]
fn int_goes_through_an_open_gate_and_iret_comes_back() {
    let mut pc = user();
    pc.gate(0x80, 8, 0xA000, 0xEF);
    pc.program(0xA000, (32, 0xA000), |a| {
        a.pushfd()?;
        a.pop(ebx)?;
        a.mov(ecx, cs)?;
        a.iretd()
    });
    pc.program32(|a| {
        a.int(0x80)?;
        a.mov(edx, cs)?;
        a.ud2()
    });
    pc.cpu.rflags |= flag::IF;
    pc.run().unwrap();
    assert_eq!((vector(&pc), pc.cpu.gpr[1], pc.cpu.gpr[2]), (6, 8, 0x1B));
    // A trap gate leaves IF alone.
    assert_eq!(pc.cpu.gpr[3], flag::IF | flag::FIXED);
    // The frame of #UD has no code.
    assert_eq!(pc.cpu.gpr[4], 0x6000 - 20);
    assert_eq!(pc.stack::<5>(0x6000 - 20, 4)[3..], [0x7000, 0x23]);
}

#[test]
fn a_gate_of_a_lower_level_is_closed_to_software() {
    let mut pc = user();
    pc.program32(|a| a.int(5));
    pc.run().unwrap();
    assert_eq!((vector(&pc), pc.get(0x6000 - 24, 4)), (13, 5 << 3 | 2));
}

#[test]
fn a_gate_that_is_not_present_says_so() {
    let mut pc = user();
    pc.gate(0x40, 8, 0xA000, 0x6E);
    pc.program32(|a| a.int(0x40));
    pc.run().unwrap();
    assert_eq!((vector(&pc), pc.get(0x6000 - 24, 4)), (11, 0x40 << 3 | 2));
}

#[test]
fn a_286_gate_pushes_words() {
    let mut pc = Pc::protected();
    pc.gate(0x41, 8, 0xA000, 0x86);
    pc.program(0xA000, (32, 0xA000), |a| {
        a.mov(eax, esp)?;
        a.db(&[0x66, 0xCF]) // iretw
    });
    pc.program32(|a| {
        a.int(0x41)?;
        a.hlt()
    });
    pc.cpu.gpr[4] = 0x7000;
    pc.run().unwrap();
    assert_eq!((pc.cpu.gpr[0], pc.cpu.gpr[4]), (0x7000 - 6, 0x7000));
    assert_eq!(pc.stack(0x7000 - 6, 2), [CODE + 2, 8, flag::FIXED]);
}

#[test]
fn a_bad_stack_of_the_task_is_an_invalid_tss() {
    // A data segment of level 3; no TSS that long; a null selector.
    for (stack, limit, code) in [(0x23, 0x67, 0x20), (0x10, 7, 0x28), (0, 0x67, 0)] {
        let mut pc = user();
        pc.put(TSS + 8, 4, stack);
        pc.cpu.tr.limit = limit;
        // #TS has a gate to a conforming segment, whose handler needs no other stack.
        pc.put(0x1000 + 0x40, 8, 0x00CF_9F00_0000_FFFF);
        pc.gate(10, 0x40, 0x9000 + 160, 0x8E);
        pc.program32(|a| a.ud2());
        pc.step().unwrap();
        assert_eq!((pc.cpu.rip, pc.cpu.cpl()), (0x9000 + 160, 3), "{stack:#x}");
        // The exception on whose way it happened was an event of its own.
        assert_eq!(pc.get(0x7000 - 16, 4), code | 1, "{stack:#x}");
    }
}

#[test]
fn hlt_at_level_3_is_a_fault() {
    let mut pc = user();
    pc.program32(|a| a.hlt());
    pc.run().unwrap();
    assert_eq!(vector(&pc), 13);
}

#[test]
fn no_stack_at_all_is_a_triple_fault() {
    let mut pc = user();
    pc.put(TSS + 8, 4, 0x23);
    pc.program32(|a| a.ud2());
    assert!(matches!(pc.run(), Err(Halt::Triple(_))));
}

#[test]
fn tasks_of_the_hardware_and_of_the_8086_stop_the_machine_by_name() {
    let task = "hardware task switches";
    let mut pc = Pc::protected();
    pc.gate(6, 0x28, 0, 0x85);
    pc.program32(|a| a.ud2());
    assert_eq!(pc.missing(), task);

    let mut pc = Pc::protected();
    pc.put(0x1000 + 0x40, 8, 0x0000_8900_0000_0067 | TSS << 16);
    pc.program32(|a| a.jmp_far(0x40, 0));
    assert_eq!(pc.missing(), task);

    let mut pc = Pc::protected();
    pc.cpu.rflags |= flag::NT;
    pc.program32(|a| a.iretd());
    assert_eq!(pc.missing(), task);

    let mut pc = Pc::protected();
    pc.cpu.gpr[4] = 0x7000;
    pc.program32(|a| {
        a.push(flag::VM as i32)?;
        a.push(0)?;
        a.push(0)?;
        a.iretd()
    });
    assert_eq!(pc.missing(), "virtual-8086 mode");
}

#[test]
fn a_segment_that_expands_down_ends_at_its_limit() {
    for (offset, good) in [
        (0x4000, false),
        (0x3FFF, false),
        (0x4001, true),
        (0xFFFE, true),
        (0xFFFF, false),
    ] {
        let mut pc = Pc::protected();
        // Limit 0x4000, 16 bits.
        pc.put(0x1000 + 0x40, 8, 0x0000_9700_0000_4000);
        pc.program32(|a| {
            a.mov(eax, 0x40)?;
            a.mov(ds, eax)?;
            a.mov(cx, word_ptr(offset))?;
            a.hlt()
        });
        pc.run().unwrap();
        assert_eq!(pc.cpu.rip < 0x9000, good, "{offset:#x}");
    }
}

#[test]
fn selectors_tell_their_levels() {
    let mut pc = user();
    pc.program32(|a| {
        a.mov(ebx, 0x20)?;
        a.mov(ecx, 0x1B)?;
        a.db(&[0x63, 0xCB])?; // arpl bx, cx
        a.setz(dl)?;
        a.db(&[0x63, 0xCB])?;
        a.setz(dh)?;
        a.ud2()
    });
    pc.run().unwrap();
    assert_eq!((pc.cpu.gpr[3], pc.cpu.gpr[2]), (0x23, 1));
}
