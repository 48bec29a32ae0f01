//! One random instruction, put together from a table of encodings.

use super::code::Emitter;
use super::layout::*;

/// What the byte behind the opcode is.
#[derive(Clone, Copy)]
enum Rm {
    /// There is none.
    No,
    /// A register, and a register or memory.
    Any,
    /// A digit, and a register or memory.
    Digit(u8),
    /// A register, and memory alone.
    Memory,
    /// A digit, and memory alone.
    DigitMemory(u8),
    /// A digit, and a register alone.
    DigitRegister(u8),
}

/// The number at the instruction's end.
#[derive(Clone, Copy)]
enum Tail {
    No,
    Byte,
    /// As wide as the operands, but never 64 bits.
    Wide,
}

/// Encodings that differ in the last bits of their opcode.
struct Form {
    /// How often it is taken.
    weight: u32,
    /// The prefixes of which one is put before it; 0 for none.
    prefixes: &'static [u8],
    opcode: &'static [u8],
    /// So many opcodes from this one on.
    span: u8,
    rm: Rm,
    tail: Tail,
    /// Operands of 16 and of 64 bits are possible too.
    sized: bool,
}

const INTEGER: &[u8] = &[0];
const PACKED: &[u8] = &[0, 0x66];
const FLOAT: &[u8] = &[0, 0x66, 0xF3, 0xF2];
const SIMD: &[u8] = &[0x66, 0x66, 0x66, 0];

macro_rules! forms {
    ($($weight:literal $prefixes:ident [$($byte:literal)+] $span:literal $rm:expr, $tail:expr, $sized:literal;)*) => {
        &[$(Form {
            weight: $weight,
            prefixes: $prefixes,
            opcode: &[$($byte),+],
            span: $span,
            rm: $rm,
            tail: $tail,
            sized: $sized,
        }),*]
    };
}

use Rm::*;
use Tail::{Byte, Wide};
const NO: Tail = Tail::No;

#[rustfmt::skip]
const FORMS: &[Form] = forms! {
    // ALU: op r/m, r and the other way; with a number; with AL or eAX.
    3 INTEGER [0x00] 4 Any, NO, true;
    2 INTEGER [0x08] 4 Any, NO, true;
    2 INTEGER [0x10] 4 Any, NO, true;
    2 INTEGER [0x18] 4 Any, NO, true;
    2 INTEGER [0x20] 4 Any, NO, true;
    3 INTEGER [0x28] 4 Any, NO, true;
    3 INTEGER [0x30] 4 Any, NO, true;
    4 INTEGER [0x38] 4 Any, NO, true;
    1 INTEGER [0x04] 1 No, Byte, false;
    1 INTEGER [0x3D] 1 No, Wide, true;
    2 INTEGER [0x83] 1 Digit(0), Byte, true;
    1 INTEGER [0x83] 1 Digit(1), Byte, true;
    1 INTEGER [0x83] 1 Digit(2), Byte, true;
    1 INTEGER [0x83] 1 Digit(3), Byte, true;
    2 INTEGER [0x83] 1 Digit(4), Byte, true;
    2 INTEGER [0x83] 1 Digit(5), Byte, true;
    2 INTEGER [0x83] 1 Digit(7), Byte, true;
    1 INTEGER [0x81] 1 Digit(0), Wide, true;
    1 INTEGER [0x81] 1 Digit(6), Wide, true;
    1 INTEGER [0x80] 1 Digit(5), Byte, false;
    1 INTEGER [0x80] 1 Digit(7), Byte, false;
    3 INTEGER [0x84] 2 Any, NO, true;
    1 INTEGER [0xA8] 1 No, Byte, false;
    2 INTEGER [0xF6] 1 Digit(0), Byte, false;
    1 INTEGER [0xF7] 1 Digit(0), Wide, true;
    2 INTEGER [0xF6] 2 Digit(2), NO, true;
    2 INTEGER [0xF6] 2 Digit(3), NO, true;
    1 INTEGER [0xF6] 2 Digit(4), NO, true;
    1 INTEGER [0xF6] 2 Digit(5), NO, true;
    1 INTEGER [0xF6] 2 Digit(6), NO, true;
    1 INTEGER [0xF6] 2 Digit(7), NO, true;
    3 INTEGER [0xFE] 2 Digit(0), NO, true;
    3 INTEGER [0xFE] 2 Digit(1), NO, true;
    2 INTEGER [0x69] 1 Any, Wide, true;
    2 INTEGER [0x6B] 1 Any, Byte, true;
    2 INTEGER [0x0F 0xAF] 1 Any, NO, true;
    // Moves.
    6 INTEGER [0x88] 4 Any, NO, true;
    4 INTEGER [0x8B] 1 Memory, NO, true;
    4 INTEGER [0x89] 1 Memory, NO, true;
    1 INTEGER [0xC6] 1 Digit(0), Byte, false;
    2 INTEGER [0xC7] 1 Digit(0), Wide, true;
    2 INTEGER [0xB0] 3 No, Byte, false;
    4 INTEGER [0x8D] 1 Memory, NO, true;
    3 INTEGER [0x0F 0xB6] 2 Any, NO, true;
    3 INTEGER [0x0F 0xBE] 2 Any, NO, true;
    2 INTEGER [0x63] 1 Any, NO, true;
    2 INTEGER [0x86] 2 Any, NO, true;
    4 INTEGER [0x0F 0x40] 16 Any, NO, true;
    4 INTEGER [0x0F 0x90] 16 Digit(0), NO, false;
    2 INTEGER [0x50] 3 No, NO, false;
    2 INTEGER [0x58] 3 No, NO, false;
    1 INTEGER [0x6A] 1 No, Byte, false;
    1 INTEGER [0x68] 1 No, Wide, true;
    1 INTEGER [0xFF] 1 Digit(6), NO, false;
    1 INTEGER [0x8F] 1 Digit(0), NO, false;
    1 INTEGER [0xC9] 1 No, NO, false;
    // Shifts, rotates, bits.
    2 INTEGER [0xC0] 2 Digit(0), Byte, true;
    1 INTEGER [0xC0] 2 Digit(1), Byte, true;
    1 INTEGER [0xC0] 2 Digit(2), Byte, true;
    1 INTEGER [0xC0] 2 Digit(3), Byte, true;
    2 INTEGER [0xC0] 2 Digit(4), Byte, true;
    2 INTEGER [0xC0] 2 Digit(5), Byte, true;
    2 INTEGER [0xC0] 2 Digit(7), Byte, true;
    1 INTEGER [0xD0] 4 Digit(0), NO, true;
    1 INTEGER [0xD0] 4 Digit(2), NO, true;
    1 INTEGER [0xD0] 4 Digit(3), NO, true;
    2 INTEGER [0xD0] 4 Digit(4), NO, true;
    1 INTEGER [0xD0] 4 Digit(5), NO, true;
    1 INTEGER [0xD0] 4 Digit(6), NO, true;
    1 INTEGER [0xD0] 4 Digit(7), NO, true;
    1 INTEGER [0x0F 0xA4] 1 Any, Byte, true;
    1 INTEGER [0x0F 0xA5] 1 Any, NO, true;
    1 INTEGER [0x0F 0xAC] 1 Any, Byte, true;
    1 INTEGER [0x0F 0xAD] 1 Any, NO, true;
    2 INTEGER [0x0F 0xBA] 1 Digit(4), Byte, true;
    1 INTEGER [0x0F 0xBA] 1 Digit(5), Byte, true;
    1 INTEGER [0x0F 0xBA] 1 Digit(6), Byte, true;
    1 INTEGER [0x0F 0xBA] 1 Digit(7), Byte, true;
    1 INTEGER [0x0F 0xA3] 1 DigitRegister(0), NO, true;
    1 INTEGER [0x0F 0xAB] 1 DigitRegister(3), NO, true;
    2 INTEGER [0x0F 0xBC] 2 Any, NO, true;
    1 INTEGER [0xF3 0x0F 0xB8] 1 Any, NO, false;
    1 INTEGER [0x0F 0xC0] 2 Any, NO, true;
    1 INTEGER [0x0F 0xB0] 2 Any, NO, true;
    1 INTEGER [0x0F 0xC7] 1 DigitMemory(1), NO, true;
    2 INTEGER [0x0F 0xC8] 3 No, NO, false;
    2 INTEGER [0x98] 2 No, NO, true;
    1 INTEGER [0xF5] 1 No, NO, false;
    1 INTEGER [0xF8] 2 No, NO, false;
    1 INTEGER [0xFC] 2 No, NO, false;
    1 INTEGER [0x9E] 2 No, NO, false;
    1 INTEGER [0xD7] 1 No, NO, false;
    1 INTEGER [0x0F 0x1F] 1 Digit(0), NO, true;
    1 INTEGER [0x91] 2 No, NO, true;
    // SSE.
    3 FLOAT [0x0F 0x58] 2 Any, NO, false;
    3 FLOAT [0x0F 0x5C] 4 Any, NO, false;
    1 FLOAT [0x0F 0x51] 1 Any, NO, false;
    2 FLOAT [0x0F 0x10] 2 Any, NO, false;
    2 PACKED [0x0F 0x28] 2 Any, NO, false;
    2 PACKED [0x0F 0x54] 4 Any, NO, false;
    2 PACKED [0x0F 0x2E] 2 Any, NO, false;
    1 FLOAT [0x0F 0x2A] 1 Any, NO, true;
    1 FLOAT [0x0F 0x2C] 2 Any, NO, true;
    1 FLOAT [0x0F 0x5A] 1 Any, NO, false;
    1 FLOAT [0x0F 0xE6] 1 Any, NO, false;
    1 PACKED [0x0F 0x5B] 1 Any, NO, false;
    1 PACKED [0x0F 0x12] 2 Memory, NO, false;
    1 PACKED [0x0F 0x14] 2 Any, NO, false;
    1 FLOAT [0x0F 0xC2] 1 Any, Byte, false;
    1 PACKED [0x0F 0xC6] 1 Any, Byte, false;
    1 FLOAT [0x0F 0x70] 1 Any, Byte, false;
    1 FLOAT [0x0F 0x6F] 1 Any, NO, false;
    1 FLOAT [0x0F 0x7F] 1 Any, NO, false;
    1 FLOAT [0x0F 0xD6] 1 Any, NO, false;
    2 SIMD [0x0F 0x60] 13 Any, NO, false;
    2 SIMD [0x0F 0x6E] 1 Any, NO, true;
    2 SIMD [0x0F 0x7E] 1 Any, NO, true;
    3 SIMD [0x0F 0xD1] 6 Any, NO, false;
    3 SIMD [0x0F 0xD8] 14 Any, NO, false;
    3 SIMD [0x0F 0xE8] 8 Any, NO, false;
    3 SIMD [0x0F 0xF1] 14 Any, NO, false;
    1 SIMD [0x0F 0x71] 3 DigitRegister(2), Byte, false;
    1 SIMD [0x0F 0x74] 3 Any, NO, false;
    1 SIMD [0x0F 0x38 0x00] 12 Any, NO, false;
    1 PACKED [0x0F 0xE7] 1 Memory, NO, false;
    1 INTEGER [0x0F 0xC3] 1 Memory, NO, false;
    1 INTEGER [0x0F 0xAE] 1 DigitMemory(2), NO, false;
    1 INTEGER [0x0F 0x18] 1 DigitMemory(1), NO, false;
    // x87.
    2 INTEGER [0xD8] 8 Digit(0), NO, false;
    1 INTEGER [0xD8] 8 Digit(1), NO, false;
    1 INTEGER [0xD8] 8 Digit(3), NO, false;
    1 INTEGER [0xD8] 8 Digit(5), NO, false;
};

/// A string instruction, and its width.
const STRINGS: [u8; 10] = [0xA4, 0xA5, 0xAA, 0xAB, 0xA4, 0xA5, 0xAC, 0xA6, 0xAE, 0xAF];

/// Adds one instruction.
pub(super) fn instruction(code: &mut Emitter<'_, '_>) {
    match code.dice.below(64) {
        0..=2 => return string(code),
        // Whatever comes.
        3 => {
            for _ in 0..1 + code.dice.below(4) {
                let byte = code.dice.below(256) as u8;
                code.bytes.push(byte);
            }
            return;
        }
        4 => return wide_number(code),
        5 if code.avx => return vex(code),
        _ => {}
    }
    let all: u32 = FORMS.iter().map(|form| form.weight).sum();
    let mut left = code.dice.below(all);
    for form in FORMS {
        if left < form.weight {
            return put(code, form);
        }
        left -= form.weight;
    }
}

fn string(code: &mut Emitter<'_, '_>) {
    if !code.dice.once_in(4) {
        // A count before it, so that it ends.
        let most = code.dice.pick(&[3, 40, 700]);
        let count = code.dice.below(most);
        code.bytes.push(0xB9);
        code.word(count);
        let repeat = code.dice.pick(&[0xF3, 0xF3, 0xF2]);
        code.bytes.push(repeat);
    }
    match code.dice.below(4) {
        0 => code.bytes.push(0x66),
        1 | 2 => code.bytes.push(0x48),
        _ => {}
    }
    let opcode = code.dice.pick(&STRINGS);
    code.bytes.push(opcode);
}

/// MOV of 64 bits.
fn wide_number(code: &mut Emitter<'_, '_>) {
    let register = code.dice.pick(&[0u8, 1, 2]);
    let high = code.dice.pick(&[0, 0, u32::MAX, 0x7FFF, 0x8000_0000]);
    let low = code.dice.word();
    code.bytes.extend([0x48, 0xB8 | register]);
    code.number(low as u8);
    code.bytes.extend(&low.to_le_bytes()[1..]);
    code.word(high);
}

/// A VEX prefix before an instruction of SSE or an integer one of the third level.
fn vex(code: &mut Emitter<'_, '_>) {
    let map = code.dice.pick(&[1u8, 1, 2, 2, 3]);
    let second = code.dice.below(256) as u8;
    let opcode = match map {
        1 => code
            .dice
            .pick(&[0x58u8, 0x59, 0x5C, 0x10, 0x6F, 0x7F, 0xEF, 0xFE, 0x54, 0xC2]),
        2 => code
            .dice
            .pick(&[0x00u8, 0xF2, 0xF3, 0xF5, 0xF6, 0xF7, 0x58, 0x98, 0xB8, 0x90]),
        _ => code.dice.pick(&[0x0Fu8, 0x46, 0x4A, 0xF0, 0x06]),
    };
    code.bytes.extend([0xC4, 0xE0 | map, second]);
    code.bytes.push(opcode);
    let register = code.dice.below(8) as u8;
    memory_or_register(code, register, false, 0);
    if map == 3 || opcode == 0xC2 {
        code.number(1);
    }
}

fn put(code: &mut Emitter<'_, '_>, form: &Form) {
    let prefix = code.dice.pick(form.prefixes);
    let mut operand = 4;
    if form.sized && prefix == 0 && code.dice.once_in(8) {
        operand = 2;
        code.bytes.push(0x66);
    }
    if code.dice.once_in(40) {
        let more = code.dice.pick(&[0xF0, 0x64, 0x65, 0x67]);
        code.bytes.push(more);
    }
    if prefix != 0 {
        code.bytes.push(prefix);
    }
    let mut opcode = form.opcode;
    if let [repeat @ 0xF3, rest @ ..] = opcode {
        code.bytes.push(*repeat);
        opcode = rest;
    }
    let rex = rex(code, form.sized);
    if rex != 0 {
        code.bytes.push(rex);
    }
    if let [before @ .., last] = opcode {
        code.bytes.extend(before);
        let last = last + code.dice.below(u32::from(form.span)) as u8;
        code.bytes.push(last);
    }
    modrm(code, form.rm, rex);
    match form.tail {
        Tail::No => {}
        Tail::Byte => byte(code),
        Tail::Wide => {
            byte(code);
            for _ in 1..operand {
                let byte = code.dice.pick(&[0, 0, 0xFF, 0x80, 1]);
                code.bytes.push(byte);
            }
        }
    }
}

fn byte(code: &mut Emitter<'_, '_>) {
    let byte = match code.dice.below(3) {
        0 => code.dice.pick(&[0, 1, 2, 0x7F, 0x80, 0xFF]),
        _ => code.dice.below(256) as u8,
    };
    code.number(byte);
}

/// A REX prefix, or 0.
fn rex(code: &mut Emitter<'_, '_>, sized: bool) -> u8 {
    match code.dice.below(8) {
        0..=2 => 0,
        3 => 0x40,
        4 | 5 if sized => 0x48,
        6 if sized => 0x48 | code.dice.below(8) as u8,
        _ => 0x40 | code.dice.below(8) as u8,
    }
}

fn modrm(code: &mut Emitter<'_, '_>, rm: Rm, rex: u8) {
    let (digit, memory) = match rm {
        Rm::No => return,
        Rm::Any => (register(code, rex >> 2 & 1), code.dice.once_in(2)),
        Rm::Digit(digit) => (digit, code.dice.once_in(2)),
        Rm::Memory => (register(code, rex >> 2 & 1), true),
        Rm::DigitMemory(digit) => (digit, true),
        Rm::DigitRegister(digit) => (digit, false),
    };
    if memory {
        place(code, digit, rex);
    } else {
        let other = register(code, rex & 1);
        code.bytes.push(0xC0 | digit << 3 | other);
    }
}

fn memory_or_register(code: &mut Emitter<'_, '_>, digit: u8, memory: bool, rex: u8) {
    if memory || code.dice.once_in(2) {
        place(code, digit, rex);
    } else {
        let other = register(code, rex & 1);
        code.bytes.push(0xC0 | digit << 3 | other);
    }
}

/// Any register, but seldom one that is kept to point somewhere, to count a
/// loop, or as the stack's.
fn register(code: &mut Emitter<'_, '_>, high: u8) -> u8 {
    if code.dice.once_in(24) {
        return code.dice.below(8) as u8;
    }
    match high {
        0 => code.dice.pick(&[0, 1, 2]),
        _ => code.dice.pick(&[0, 1, 2, 3, 6]),
    }
}

/// A place in memory: mostly behind one of the pointers.
fn place(code: &mut Emitter<'_, '_>, digit: u8, rex: u8) {
    let bases: &[u8] = if rex & 1 == 0 {
        &[3, 3, 6, 7, 5]
    } else {
        &[4, 4, 5]
    };
    let base = code.dice.pick(bases);
    let digit = digit << 3;
    match code.dice.below(16) {
        // Relative to RIP: data of the code's own, or that of the window.
        0 => {
            code.bytes.push(0x05 | digit);
            let at = (CODE as usize + code.bytes.len() + 4) as u32;
            let to = code.dice.pick(&[DATA, DATA, CODE]) as u32 + code.dice.below(0x3000);
            code.word(to.wrapping_sub(at));
        }
        // An address alone.
        1 => {
            code.bytes.extend([0x04 | digit, 0x25]);
            let page = code.dice.below(64) << 12;
            let offset = code.dice.below(4096);
            code.word(WINDOW as u32 + page + offset);
        }
        // With an index.
        2..=5 => {
            let index = code.dice.pick(&[6u8, 6, 6, 1, 0]);
            let scale = code.dice.below(4) as u8;
            code.bytes
                .extend([0x44 | digit, scale << 6 | index << 3 | base]);
            let near = code.dice.below(256) as u8;
            code.number(near);
        }
        // Far enough to reach another page.
        6..=8 => {
            code.bytes.push(0x80 | digit | base);
            if base == 4 {
                code.bytes.push(0x24);
            }
            let far = code.dice.below(0x4000).wrapping_sub(0x1000);
            code.word(far);
        }
        _ => {
            code.bytes.push(0x40 | digit | base);
            if base == 4 {
                code.bytes.push(0x24);
            }
            let near = code.dice.below(16) as u8 * 8;
            code.number(near);
        }
    }
}
