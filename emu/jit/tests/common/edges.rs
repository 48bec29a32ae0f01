//! Loops in which nothing special happens until, once, one thing does.

use iced_x86::code_asm::*;
use machine::cpu::Cpu;

use super::{CODE, DATA, Program, Random, STACK, compiler, judge};

/// Rounds of the loop, and the one in which the special number comes.
const ROUNDS: u32 = 50;
const SPECIAL: u64 = 41;

type Body = fn(&mut CodeAssembler) -> Result<(), IcedError>;

/// A loop of this body, in which RSI + DATA is the place of `special` instead of `usual`
/// once; XMM0 is one before it, and what has been raised is forgotten.
fn program(body: Body, usual: u64, special: u64) -> Program {
    let table = (0..u64::from(ROUNDS) + 1).map(|i| if i == SPECIAL { special } else { usual });
    let mut data: Vec<u8> = table.flat_map(u64::to_le_bytes).collect();
    let mxcsr = Cpu::default().mxcsr | 0x20;
    let place = DATA + data.len() as u64;
    data.extend(mxcsr.to_le_bytes());
    let code = || {
        let mut a = CodeAssembler::new(64)?;
        let (mut again, mut head) = (a.create_label(), a.create_label());
        a.set_label(&mut again)?;
        a.ldmxcsr(dword_ptr(place))?;
        a.xor(esi, esi)?;
        a.mov(r15d, ROUNDS)?;
        a.mov(eax, 1)?;
        a.cvtsi2sd(xmm0, eax)?;
        a.set_label(&mut head)?;
        body(&mut a)?;
        a.add(rsi, 8)?;
        a.sub(r15d, 1)?;
        a.jnz(head)?;
        a.jmp(again)?;
        a.assemble(CODE)
    };
    let mut registers = [0; 16];
    (registers[3], registers[4]) = (DATA + 0x800, STACK);
    Program {
        bytes: code().expect("code"),
        registers,
        vectors: [0; 16],
        flags: 0,
        user: true,
        mxcsr,
        data,
    }
}

fn table() -> AsmMemoryOperand {
    qword_ptr(rsi + DATA as i32)
}

/// The fourth power, of which nothing comes.
fn fourth(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.movsd_2(xmm1, table())?;
    a.mulsd(xmm1, xmm1)?;
    a.mulsd(xmm1, xmm1)?;
    a.movsd_2(qword_ptr(rbx), xmm1)
}

/// The seventeenth power of an integer.
fn power(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.mov(rcx, table())?;
    a.cvtsi2sd(xmm2, rcx)?;
    a.movapd(xmm1, xmm2)?;
    for _ in 0..4 {
        a.mulsd(xmm1, xmm1)?;
    }
    a.mulsd(xmm1, xmm2)?;
    a.movsd_2(qword_ptr(rbx), xmm1)
}

fn cube(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.movapd(xmm1, xmm0)?;
    a.mulsd(xmm1, xmm1)?;
    a.mulsd(xmm1, xmm0)?;
    a.movsd_2(qword_ptr(rbx), xmm1)
}

/// The third power of a number that the round before has loaded, when it computed
/// nothing any more.
fn late(a: &mut CodeAssembler) -> Result<(), IcedError> {
    cube(a)?;
    a.movsd_2(xmm0, table())
}

/// The same, where the round before added something: zero, if the number is special.
fn careful(a: &mut CodeAssembler) -> Result<(), IcedError> {
    cube(a)?;
    a.movsd_2(xmm0, table())?;
    a.movq(rcx, xmm0)?;
    // One bit makes it 2.0, or zero.
    a.mov(rax, 1_u64 << 60)?;
    a.and(rcx, rax)?;
    a.shl(rcx, 2)?;
    a.movq(xmm4, rcx)?;
    a.addsd(xmm5, xmm4)
}

/// The third power of a number that comes by one of two ways.
fn between(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut after = a.create_label();
    a.mov(rcx, table())?;
    a.test(rcx, rcx)?;
    a.js(after)?;
    a.movq(xmm0, rcx)?;
    a.set_label(&mut after)?;
    cube(a)
}

/// A quotient, a root and a sum that are stored.
fn others(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.movsd_2(xmm1, table())?;
    a.movapd(xmm2, xmm0)?;
    a.divsd(xmm2, xmm1)?;
    a.movsd_2(qword_ptr(rbx), xmm2)?;
    a.sqrtsd(xmm2, table())?;
    a.movsd_2(qword_ptr(rbx + 8), xmm2)?;
    a.addsd(xmm1, xmm0)?;
    a.movsd_2(qword_ptr(rbx + 16), xmm1)?;
    a.movapd(xmm3, xmm0)?;
    a.minsd(xmm3, table())?;
    a.movsd_2(qword_ptr(rbx + 24), xmm3)?;
    a.maxsd(xmm3, table())?;
    a.movsd_2(qword_ptr(rbx + 32), xmm3)?;
    a.comisd(xmm0, table())?;
    a.setbe(cl)?;
    a.adc(rdx, 1)
}

/// To a single and back.
fn single(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.cvtsd2ss(xmm3, table())?;
    a.movss(dword_ptr(rbx), xmm3)?;
    a.cvtss2sd(xmm3, xmm3)?;
    a.movsd_2(qword_ptr(rbx + 8), xmm3)
}

/// From a single.
fn double(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.cvtss2sd(xmm3, dword_ptr(rsi + DATA as i32))?;
    a.movsd_2(qword_ptr(rbx), xmm3)?;
    a.sqrtss(xmm3, dword_ptr(rsi + DATA as i32))?;
    a.movss(dword_ptr(rbx + 8), xmm3)
}

/// Runs all of them on the compiler and the reference interpreter.
pub(crate) fn judge_edges() {
    let one = 1_f64.to_bits();
    // 2^-256 and a little, whose fourth power is too small; 2^-400, whose third is.
    let (low, tiny) = (0x2FF0_0000_0000_0001, 0x26F0_0000_0000_0000);
    let mut programs = vec![
        program(fourth, one, low),
        program(power, 3, 1 << 62),
        program(late, one, tiny),
        program(between, one, tiny),
        program(careful, one, tiny),
    ];
    let zero = [0, 1 << 63];
    let denormal = [1, (1 << 52) - 1, 1 << 52];
    let endless = [0x7FF0 << 48, 0xFFF0 << 48, 0x7FEF_FFFF_FFFF_FFFF];
    let none = [0x7FF8_0000_0000_1234, 0x7FF0_0000_0000_0001, 0xFFF4 << 48];
    let negative = [(-2_f64).to_bits(), 3_f64.to_bits()];
    let special = [&zero[..], &denormal, &endless, &none, &negative].concat();
    for special in special {
        programs.extend(
            [others as Body, fourth, late, between, single].map(|body| program(body, one, special)),
        );
    }
    // Singles that are denormal, and doubles that would be as singles, or too large.
    for special in [
        0x37F0_u64 << 48,
        0x3690 << 48,
        0x47F0 << 48,
        0x3810 << 48,
        0x36A0 << 48,
    ] {
        programs.push(program(single, one, special));
    }
    for special in [
        0,
        1,
        0x7F_FFFF,
        0x80_0000,
        0x7F80_0000,
        0x7F80_0001,
        0x7FC0_0000,
        0x8000_0000,
    ] {
        programs.push(program(double, 0x3F80_0000, special));
    }
    for (number, program) in programs.iter().enumerate() {
        let number = number as u64;
        judge(program, number, &mut Random(number + 1), compiler());
    }
}
