//! What registers hold before an instruction.

use crate::random::Random;
use crate::state::{AC, STATUS, State, place};

/// Status flags; now and then alignment is checked.
pub fn flags(random: &mut Random) -> u64 {
    let ac = if random.chance(16) { AC } else { 0 };
    random.next() & STATUS | ac
}

/// The x87 and vector registers with their control and status.
pub fn vectors(random: &mut Random, state: &mut State) {
    state.set_mxcsr(mxcsr(random));
    for i in 0..16 {
        state.set_xmm(i, random.vector());
        state.high[i] = random.vector();
    }
    relate(random, state);
    x87(random, state);
}

/// Masks, rounding, DAZ and FTZ, and exceptions from earlier.
pub fn mxcsr(random: &mut Random) -> u32 {
    let masks = match random.below(6) {
        0 => random.below(64) as u32,
        _ => 0x3F,
    };
    let zeros = random.pick(&[0, 0, 0, 1 << 6, 1 << 15, 1 << 6 | 1 << 15]);
    let earlier = match random.below(4) {
        0 => random.below(64) as u32,
        _ => 0,
    };
    masks << 7 | (random.below(4) as u32) << 13 | zeros | earlier
}

/// Operands that are alike: equal, or neighbours; shift counts; lengths of strings.
fn relate(random: &mut Random, state: &mut State) {
    if random.chance(4) {
        let like = state.xmm(random.below(16) as usize);
        for i in 0..16 {
            if random.chance(2) {
                state.set_xmm(i, like ^ u128::from(random.below(2)));
                state.high[i] = like ^ u128::from(random.below(2));
            }
        }
    }
    if random.chance(4) {
        for i in 0..16 {
            if random.chance(3) {
                state.set_xmm(i, random.below(70).into());
            }
        }
        state.gpr[0] = random.below(20).wrapping_sub(2);
        state.gpr[2] = random.below(20).wrapping_sub(2);
    }
}

fn x87(random: &mut Random, state: &mut State) {
    let masks = match random.below(4) {
        0 => random.below(64) as u16,
        _ => 0x3F,
    };
    let precision = random.pick(&[0_u16, 2, 3, 3]);
    let infinity = (random.below(2) as u16) << 12;
    state.put16(
        place::CONTROL,
        0x40 | masks | precision << 8 | (random.below(4) as u16) << 10 | infinity,
    );
    state.put16(place::STATUS, status(random, masks));
    let top = u32::from(state.get16(place::STATUS) >> 11 & 7);
    state.image[place::FULL] = match random.below(4) {
        0 => random.next() as u8,
        1 => 0xFF,
        // Full but for the one that a push would take.
        _ => !1_u8.rotate_left(top + 7),
    };
    state.put16(place::OPCODE, random.next() as u16 & 0x7FF);
    state.put64(place::INSTRUCTION, random.next() >> 17);
    state.put64(place::OPERAND, random.next() >> 17);
    for i in 0..8 {
        state.set_st(i, random.extended());
    }
    if random.chance(4) {
        state.set_st(random.below(8) as usize, state.st(0));
    }
    if random.chance(3) {
        // About the size of the integers.
        let sign = u128::from(random.below(2)) << 79;
        let exponent = u128::from(0x3FFD + random.below(70)) << 64;
        let significand = state.st(0) & u128::from(u64::MAX) | 1 << 63;
        state.set_st(0, sign | exponent | significand);
    }
}

/// Earlier exceptions, mostly masked ones; a stack fault; condition codes; the top.
fn status(random: &mut Random, masks: u16) -> u16 {
    let allowed = if random.chance(12) { 0x3F } else { masks };
    let earlier = match random.below(3) {
        0 => random.next() as u16 & allowed,
        _ => 0,
    };
    let stack_fault = match earlier & 1 {
        0 => 0,
        _ => random.next() as u16 & 0x40,
    };
    let pending = match earlier & !masks {
        0 => 0,
        _ => 1 << 7 | 1 << 15,
    };
    earlier | stack_fault | pending | random.next() as u16 & 0x7F00
}
