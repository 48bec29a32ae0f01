//! AES rounds (FIPS 197). The state is 16 bytes; byte 4c + r is row r of column c.

use super::sse::{combine, immediate, missing, set, source};
use crate::cpu::insn::{Insn, Op};
use crate::cpu::{Cx, Fault};

type State = [u8; 16];

pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    match insn.op {
        Op::Aesenc | Op::Aesenclast | Op::Aesdec | Op::Aesdeclast => round(cx, insn),
        Op::Aesimc => {
            let state = source(cx, insn, 1)?.to_le_bytes();
            let mixed = mix_columns(state, [0xE, 0xB, 0xD, 0x9]);
            set(cx, insn, 0, u128::from_le_bytes(mixed))
        }
        Op::Aeskeygenassist => assist(cx, insn),
        _ => missing(insn),
    }
}

/// One round; the last one does not mix columns.
fn round(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    combine(cx, insn, |state, key, _| {
        let state = state.to_le_bytes();
        let state = match insn.op {
            Op::Aesenc | Op::Aesenclast => shift_rows(state, 1).map(substitute),
            _ => shift_rows(state, 3).map(substitute_back),
        };
        let state = match insn.op {
            Op::Aesenc => mix_columns(state, [2, 3, 1, 1]),
            Op::Aesdec => mix_columns(state, [0xE, 0xB, 0xD, 0x9]),
            _ => state,
        };
        u128::from_le_bytes(state) ^ key
    })
}

/// AESKEYGENASSIST: of words 1 and 3 SubWord, and RotWord of that with the round constant.
fn assist(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let source = source(cx, insn, 1)?.to_le_bytes().map(substitute);
    let constant = u32::from(immediate(insn, 2)?);
    let word = |n: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| source[4 * n + i]));
    let words = [1, 3].map(|n| [word(n), word(n).rotate_right(8) ^ constant]);
    let result = words.as_flattened().iter().rev();
    let result = result.fold(0, |result, word| result << 32 | u128::from(*word));
    set(cx, insn, 0, result)
}

/// Row r moves to the left by `step` times r columns: with 3 back to where 1 took it from.
fn shift_rows(state: State, step: usize) -> State {
    core::array::from_fn(|i| {
        let (row, column) = (i % 4, i / 4);
        state[row + 4 * ((column + step * row) % 4)]
    })
}

/// Multiplies each column by a polynomial with these coefficients, the first row of a circulant
/// matrix.
fn mix_columns(state: State, row: [u8; 4]) -> State {
    core::array::from_fn(|i| {
        let column = i / 4 * 4;
        let terms = (0..4).map(|j| times(row[(j + 4 - i % 4) % 4], state[column + j]));
        terms.fold(0, |sum, term| sum ^ term)
    })
}

/// The product in GF(2⁸) modulo x⁸ + x⁴ + x³ + x + 1.
const fn times(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    while b != 0 {
        if b & 1 != 0 {
            product ^= a;
        }
        a = a << 1 ^ if a & 0x80 != 0 { 0x1B } else { 0 };
        b >>= 1;
    }
    product
}

/// The S-box: the multiplicative inverse (the 254th power; zero stays), then an affine map.
const S_BOX: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut inverse = 1;
        let mut n = 0;
        while n < 254 {
            inverse = times(inverse, i as u8);
            n += 1;
        }
        let b = inverse;
        let turned = b.rotate_left(1) ^ b.rotate_left(2) ^ b.rotate_left(3) ^ b.rotate_left(4);
        table[i] = b ^ turned ^ 0x63;
        i += 1;
    }
    table
};

const INVERSE_S_BOX: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[S_BOX[i] as usize] = i as u8;
        i += 1;
    }
    table
};

fn substitute(byte: u8) -> u8 {
    S_BOX[usize::from(byte)]
}

fn substitute_back(byte: u8) -> u8 {
    INVERSE_S_BOX[usize::from(byte)]
}
