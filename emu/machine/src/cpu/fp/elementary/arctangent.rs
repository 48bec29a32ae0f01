//! The angle of a point: FPATAN's finite cases.

use super::fixed::{self, ONE, constant, mul_fraction, reciprocal};
use crate::cpu::fp::{Unpacked, Wide};

pub(super) const PI: Wide = constant(1, PI_BITS);
pub(super) const HALF_PI: Wide = constant(0, PI_BITS);
pub(super) const QUARTER_PI: Wide = constant(-1, PI_BITS);
pub(super) const THREE_QUARTERS_PI: Wide = constant(1, 0x96CB_E3F9_990E_91A7_9394_C9E8_A0A5_159C);
const PI_BITS: u128 = 0xC90F_DAA2_2168_C234_C4C6_628B_80DC_1CD1;

/// `atan(k/16)` for k from 1 on.
const STEPS: [Wide; 16] = [
    constant(-5, 0xFFAA_DDB9_67EF_4E36_CB27_92DC_0E2E_0D51),
    constant(-4, 0xFEAD_D4D5_617B_6E32_C897_989F_3E88_8EF7),
    constant(-3, 0xBDCB_DA5E_72D8_1134_7B0B_4F88_1C9C_7487),
    constant(-3, 0xFADB_AFC9_6406_EB15_6DC7_9EF5_F7A2_17E5),
    constant(-2, 0x9B13_B9B8_3F5E_5E69_C5AB_B498_D27A_F328),
    constant(-2, 0xB7B0_CA0F_26F7_8473_8AA3_2122_DCFE_4483),
    constant(-2, 0xD327_761E_611F_E5B6_427C_95E9_001E_7136),
    constant(-2, 0xED63_382B_0DDA_7B45_6FE4_45EC_BC3A_8D03),
    constant(-1, 0x832B_F4A6_D986_7E2A_4B6A_09CB_61A5_15C0),
    constant(-1, 0x8F00_5D5E_F7F5_9F9B_5C83_5E16_65C4_3747),
    constant(-1, 0x9A2F_80E6_71BD_DA20_4226_F8E2_204F_F3BC),
    constant(-1, 0xA4BC_7D19_34F7_0924_19A8_7F2A_457D_AC9E),
    constant(-1, 0xAEAC_4C38_B4D8_C080_1472_5E2F_3E52_070A),
    constant(-1, 0xB805_3E2B_C231_9E73_CB2D_A552_10A4_443D),
    constant(-1, 0xC0CE_85B8_AC52_6640_89DD_62C4_6E92_FA24),
    constant(-1, 0xC90F_DAA2_2168_C234_C4C6_628B_80DC_1CD1),
];

/// Terms of the series for arguments up to 1/32.
const TERMS: u32 = 13;

/// `atan(t)` of at most 1/32: t (1 - t²/3 + t⁴/5 - ...). It is always nearer to zero than `t`.
fn atan_small(t: &Wide) -> Wide {
    let f = fixed::to_fraction(t);
    let z = mul_fraction(f, f);
    let series = (0..TERMS)
        .rev()
        .fold(0, |sum, n| reciprocal(2 * n + 1) - mul_fraction(z, sum));
    fixed::mul(t, &fixed::from_fraction(series.min(ONE - 1)))
}

/// `atan(q)` of a positive number up to 1, from the nearest sixteenth c:
/// atan(q) = atan(c) + atan((q - c) / (1 + qc)).
fn atan(q: &Wide) -> Wide {
    let f = fixed::to_fraction(q);
    let nearest = ((f >> 122) + 1) >> 1;
    let Some(index) = (nearest as usize).checked_sub(1) else {
        return atan_small(q);
    };
    let c = nearest << 123;
    let base = &STEPS[index];
    if f == c {
        return *base;
    }
    let distance = Wide::normalised(f < c, 0, f.abs_diff(c));
    let product = fixed::mul(q, &fixed::from_fraction(c));
    let t = fixed::div(&distance, &fixed::add(&constant(0, ONE), &product));
    fixed::add(base, &atan_small(&t))
}

/// The angle between the positive x axis and the point `(x, y)`, with the sign of `y`; neither is
/// zero.
pub(super) fn angle(y: &Unpacked, x: &Unpacked) -> Wide {
    let magnitude = |a: &Unpacked| fixed::signed(&fixed::widened(a), false);
    let (a, b) = (magnitude(y), magnitude(x));
    let steep = (a.exp, a.sig) > (b.exp, b.sig);
    let ratio = match steep {
        true => fixed::div(&b, &a),
        false => fixed::div(&a, &b),
    };
    let slope = atan(&ratio);
    let minus = |a: &Wide| fixed::signed(a, true);
    let angle = match (steep, x.sign) {
        (false, false) => slope,
        (true, false) => fixed::add(&HALF_PI, &minus(&slope)),
        (true, true) => fixed::add(&HALF_PI, &slope),
        (false, true) => fixed::add(&PI, &minus(&slope)),
    };
    fixed::signed(&angle, y.sign)
}
