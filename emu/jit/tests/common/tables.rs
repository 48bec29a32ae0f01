//! A program that goes from place to place by tables, by calls across more code
//! than one region holds, and with flags that are read where it comes to.

use iced_x86::BlockEncoderOptions;
use iced_x86::code_asm::*;
use machine::Cpu;

use super::{CODE, DATA, Made, Program, STACK};

/// Where the table is, and how many entries it has.
const TABLE: u64 = DATA + 0x400;
const CASES: usize = 8;

/// More bytes than from one end of a region to the other.
const FAR: usize = 0x1_4000;

impl Program {
    /// The program; the table changes as it runs.
    pub(crate) fn of_tables(seed: u64) -> Program {
        let mut a = CodeAssembler::new(64).expect("64 bits");
        let mut cases = [(); CASES].map(|()| a.create_label());
        write(&mut a, &mut cases).expect("code");
        let options = BlockEncoderOptions::RETURN_NEW_INSTRUCTION_OFFSETS;
        let made = a.assemble_options(CODE, options).expect("code");
        let mut data = vec![0; (TABLE - DATA) as usize];
        for case in &cases {
            data.extend(made.label_ip(case).expect("a label").to_le_bytes());
        }
        let mut registers = std::array::from_fn(|i| seed.wrapping_mul(2 * i as u64 + 1));
        registers[4] = STACK;
        registers[15] = seed & 0xFF;
        Program {
            bytes: made.inner.code_buffer,
            registers,
            vectors: [0; 16],
            flags: seed,
            user: seed & 1 != 0,
            mxcsr: Cpu::default().mxcsr,
            data,
        }
    }
}

fn write(a: &mut CodeAssembler, cases: &mut [CodeLabel; CASES]) -> Made {
    let mut again = a.create_label();
    let (mut join, mut skip, mut far) = (a.create_label(), a.create_label(), a.create_label());
    a.set_label(&mut again)?;
    a.mov(ecx, r15d)?;
    a.and(ecx, CASES as i32 - 1)?;
    a.cmp(rax, r15)?;
    a.jmp(qword_ptr(rcx * 8 + TABLE as i32))?;
    for (number, case) in (1..).zip(cases) {
        a.set_label(case)?;
        match number % 4 {
            0 => a.adc(rax, number)?,
            1 => a.imul_3(rax, rax, 2 * number + 1)?,
            2 => a.sbb(rdx, rax)?,
            _ => a.rcl(rax, 1)?,
        }
        // Flags of every kind where all meet.
        match number % 3 {
            0 => a.add(r10, rax)?,
            1 => a.inc(r11)?,
            _ => a.shr(r11, 3)?,
        }
        a.jmp(join)?;
    }
    a.set_label(&mut join)?;
    a.setbe(r9b)?;
    a.inc(r15)?;
    a.test(r15d, 0x1FF)?;
    a.jne(skip)?;
    // The first entry goes to the end of the table.
    a.mov(rsi, qword_ptr(TABLE as i32))?;
    for number in 0..CASES as i32 {
        let to = TABLE as i32 + 8 * number;
        match number + 1 < CASES as i32 {
            true => a.mov(rdi, qword_ptr(to + 8))?,
            false => a.mov(rdi, rsi)?,
        }
        a.mov(qword_ptr(to), rdi)?;
    }
    a.set_label(&mut skip)?;
    a.cmp(rax, r15)?;
    a.call(far)?;
    a.sbb(r8, rax)?;
    a.jmp(again)?;
    a.db(&vec![0x90; FAR])?;
    a.set_label(&mut far)?;
    a.adc(rdx, rax)?;
    a.setp(r9b)?;
    a.lea(rbp, qword_ptr(rdx + rax * 2 + 5))?;
    a.sub(rdx, r8)?;
    a.ret()
}
