//! Real mode.

use iced_x86::code_asm::*;

use crate::pc::{CODE, Pc};
use machine::cpu::state::flag;

/// A handler in the interrupt vector table that halts; its offset tells the vector.
fn halting_handlers(pc: &mut Pc) {
    for vector in 0..32 {
        pc.put(4 * vector, 4, 0x9000 + 16 * vector);
        pc.put(0x9000 + 16 * vector, 1, 0xF4);
    }
}

/// The vector whose handler has halted, and what it found on the stack.
fn caught(pc: &Pc) -> (u64, [u64; 3]) {
    let vector = (pc.cpu.rip - 0x9001) / 16;
    (vector, pc.stack(pc.cpu.gpr[4] & 0xFFFF, 2))
}

#[test]
fn a_segment_is_its_selector_times_sixteen() {
    let mut pc = Pc::real();
    pc.put(0x12345 + 0x10 + 0x200 - 5, 2, 0xBEEF);
    pc.program16(|a| {
        a.mov(ax, 0x1234)?;
        a.mov(ds, ax)?;
        a.mov(bx, 0xFFFF)?;
        a.mov(si, 0x0211)?;
        // The sum of the registers wraps at 64 KiB; SS is the segment of BP alone.
        a.mov(cx, word_ptr(bx + si).ds())?;
        a.mov(bp, 0x7000)?;
        a.mov(word_ptr(bp - 2), 0x55AA)?;
        a.mov(eax, dword_ptr(esp - 2).ss())?;
        a.hlt()
    });
    pc.run().unwrap();
    assert_eq!(pc.get(0x12340 + 0x210, 2), 0xBEEF);
    assert_eq!(pc.cpu.gpr[1], 0xBEEF);
    assert_eq!(pc.get(0x6FFE, 2), 0x55AA);
    assert_eq!(pc.cpu.gpr[0] & 0xFFFF, 0x55AA);
    assert_eq!(pc.cpu.seg[3].base, 0x12340);
}

#[test]
fn an_operand_beyond_64_kib_is_a_fault_without_a_code() {
    let mut pc = Pc::real();
    halting_handlers(&mut pc);
    pc.program16(|a| {
        a.nop()?;
        a.mov(ax, word_ptr(0xFFFF))?;
        a.hlt()
    });
    pc.cpu.rflags |= flag::IF | flag::DF;
    pc.run().unwrap();
    let (vector, [ip, segment, flags]) = caught(&pc);
    assert_eq!((vector, ip, segment), (13, 1, CODE >> 4));
    assert_eq!(flags, flag::IF | flag::DF | flag::FIXED);
    assert_eq!(pc.cpu.rflags, flag::DF | flag::FIXED);
    assert_eq!(pc.cpu.gpr[4], 0x7000 - 6);
}

#[test]
fn a_stack_operand_beyond_64_kib_is_a_stack_fault() {
    let mut pc = Pc::real();
    halting_handlers(&mut pc);
    pc.program16(|a| {
        a.mov(bp, 0xFFFF)?;
        a.mov(word_ptr(bp), ax)?;
        a.hlt()
    });
    pc.run().unwrap();
    assert_eq!(caught(&pc).0, 12);
}

#[test]
fn int_and_iret_go_there_and_back() {
    let mut pc = Pc::real();
    pc.put(4 * 0x21, 4, 0x1230_0010);
    pc.program(0x12310, (16, 0x10), |a| {
        a.pushf()?;
        a.pop(cx)?;
        a.mov(ax, 0x4C00)?;
        a.iret()
    });
    pc.program16(|a| {
        a.stc()?;
        a.sti()?;
        a.int(0x21)?;
        a.pushf()?;
        a.pop(dx)?;
        a.hlt()
    });
    pc.run().unwrap();
    assert_eq!(pc.cpu.gpr[0], 0x4C00);
    assert_eq!(pc.cpu.gpr[1], flag::CF | flag::FIXED);
    assert_eq!(pc.cpu.gpr[2], flag::CF | flag::IF | flag::FIXED);
    assert_eq!(pc.cpu.gpr[4], 0x7000);
}

#[test]
fn a_vector_beyond_the_table_becomes_a_triple_fault() {
    let mut pc = Pc::real();
    pc.cpu.idtr.limit = 3;
    pc.program16(|a| a.int(0x21));
    assert!(format!("{:?}", pc.run().unwrap_err()).contains("Triple"));
}

#[test]
fn faults_and_traps_point_where_they_should() {
    for (vector, at, build) in [
        (0, 2, (&[0x31, 0xC9, 0xF7, 0xF1][..])), // xor cx, cx; div cx
        (6, 0, &[0x0F, 0x0B]),                   // ud2
        (6, 0, &[0x0F, 0x00, 0xD8]),             // ltr ax: not in real mode
        (6, 0, &[0x63, 0xC0]),                   // arpl ax, ax: neither
        (3, 1, &[0xCC]),                         // int3
        (4, 6, &[0xB0, 0x7F, 0x04, 0x01, 0x90, 0xCE]), // add al, 1 after 127; into
        (5, 0, &[0x62, 0x06, 0x00, 0x60]),       // bound ax, [0x6000]
    ] {
        let mut pc = Pc::real();
        halting_handlers(&mut pc);
        pc.put(0x6000, 4, 0x0002_0001);
        pc.program16(|a| a.db(build));
        pc.run().unwrap();
        let (got, [ip, ..]) = caught(&pc);
        assert_eq!((got, ip), (vector, at), "{build:x?}");
    }
}

#[test]
fn far_calls_and_returns_change_the_segment() {
    let mut pc = Pc::real();
    pc.program(0x23450, (16, 0), |a| {
        a.mov(ax, cs)?;
        a.db(&[0xCA, 4, 0]) // retf 4
    });
    pc.program16(|a| {
        a.push(0x11)?;
        a.push(0x22)?;
        a.call_far(0x2345, 0)?;
        a.mov(bx, sp)?;
        a.jmp_far(0x2340, 0x100)
    });
    pc.program(0x23500, (16, 0x100), |a| a.hlt());
    pc.run().unwrap();
    assert_eq!((pc.cpu.gpr[0], pc.cpu.gpr[3]), (0x2345, 0x7000));
    assert_eq!(pc.cpu.seg[1].selector, 0x2340);
    assert_eq!(
        pc.stack(0x6FF8, 2),
        [pc.get(0x6FF8, 2), CODE >> 4, 0x22, 0x11]
    );
}

#[test]
fn the_stack_wraps_at_64_kib_and_leaves_the_upper_half_alone() {
    let mut pc = Pc::real();
    pc.program16(|a| {
        a.mov(esp, 0x7654_0000)?;
        a.push(ax)?;
        a.db(&[0x66, 0x68, 0x78, 0x56, 0x34, 0x12])?; // pushl
        a.db(&[0x60])?; // pusha
        a.db(&[0x61])?; // popa
        a.hlt()
    });
    pc.cpu.gpr[7] = 0xAAAA_7777;
    pc.run().unwrap();
    assert_eq!(pc.cpu.gpr[4], 0x7654_FFFA);
    assert_eq!(pc.get(0xFFFA, 4), 0x1234_5678);
    assert_eq!(pc.stack(0xFFEA, 2), [0x7777, 0, 0, 0xFFFA, 0, 0, 0, 0]);
    assert_eq!(pc.cpu.gpr[7], 0xAAAA_7777);
}

#[test]
fn code_that_runs_out_of_its_segment_faults() {
    let mut pc = Pc::real();
    halting_handlers(&mut pc);
    pc.program(0x1_7FFF, (16, 0xFFFF), |a| a.db(&[0x31, 0xC0]));
    pc.cpu.rip = 0xFFFF;
    pc.run().unwrap();
    assert_eq!((caught(&pc).0, caught(&pc).1[0]), (13, 0xFFFF));
}

#[test]
fn strings_loops_and_tables_use_16_bits() {
    let mut pc = Pc::real();
    pc.put(0x6000, 8, 0x0807_0605_0403_0201);
    pc.program16(|a| {
        a.mov(esi, 0x5555_6000)?;
        a.mov(edi, 0x6666_6100)?;
        a.mov(ecx, 0x7777_0004)?;
        a.rep().movsw()?;
        a.mov(word_ptr(0x6200), 0x1F)?;
        a.mov(dword_ptr(0x6202), 0x8112_3456u32 as i32)?;
        // The form of 16 bits takes three bytes of the base.
        a.db(&[0x0F, 0x01, 0x16, 0x00, 0x62])?; // lgdt [0x6200]
        a.hlt()
    });
    pc.run().unwrap();
    assert_eq!(pc.get(0x6100, 8), 0x0807_0605_0403_0201);
    assert_eq!(
        (pc.cpu.gpr[6], pc.cpu.gpr[7], pc.cpu.gpr[1]),
        (0x5555_6008, 0x6666_6108, 0x7777_0000)
    );
    assert_eq!((pc.cpu.gdtr.base, pc.cpu.gdtr.limit), (0x12_3456, 0x1F));
}
