//! SHA-1 and SHA-256 (FIPS 180-4): rounds and message schedules, four words at a time.
//!
//! Words are in the order of their significance in the register: `[0]` is bits 127 to 96.

use super::sse::{immediate, missing, set, source};
use crate::cpu::insn::{Insn, Op};
use crate::cpu::{Cx, Fault};

type Words = [u32; 4];

pub(super) fn execute(cx: &mut Cx<'_>, insn: &Insn) -> Result<(), Fault> {
    let first = words(source(cx, insn, 0)?);
    let second = words(source(cx, insn, 1)?);
    let result = match insn.op {
        Op::Sha1rnds4 => sha1_rounds(first, second, immediate(insn, 2)?),
        Op::Sha1nexte => sha1_next_e(first, second),
        Op::Sha1msg1 => sha1_message_1(first, second),
        Op::Sha1msg2 => sha1_message_2(first, second),
        Op::Sha256rnds2 => sha256_rounds(first, second, words(cx.cpu.xmm[0])),
        Op::Sha256msg1 => sha256_message_1(first, second),
        Op::Sha256msg2 => sha256_message_2(first, second),
        _ => return missing(insn),
    };
    let result = result.iter();
    let result = result.fold(0, |vector, word| vector << 32 | u128::from(*word));
    set(cx, insn, 0, result)
}

fn words(vector: u128) -> Words {
    [96, 64, 32, 0].map(|shift| (vector >> shift) as u32)
}

const fn choose(x: u32, y: u32, z: u32) -> u32 {
    x & y ^ !x & z
}

const fn parity(x: u32, y: u32, z: u32) -> u32 {
    x ^ y ^ z
}

const fn majority(x: u32, y: u32, z: u32) -> u32 {
    x & y ^ x & z ^ y & z
}

/// SHA1RNDS4: four rounds with the function and the constant of this part of the 80 rounds. The
/// first word of the message has E added already.
fn sha1_rounds([a, b, c, d]: Words, message: Words, part: u8) -> Words {
    let (function, constant): (fn(u32, u32, u32) -> u32, u32) = match part & 3 {
        0 => (choose, 0x5A82_7999),
        1 => (parity, 0x6ED9_EBA1),
        2 => (majority, 0x8F1B_BCDC),
        _ => (parity, 0xCA62_C1D6),
    };
    let round = |[a, b, c, d, e]: [u32; 5], word: u32| {
        let sum = function(b, c, d)
            .wrapping_add(a.rotate_left(5))
            .wrapping_add(word)
            .wrapping_add(e)
            .wrapping_add(constant);
        [sum, a, b.rotate_left(30), c, d]
    };
    let [a, b, c, d, _] = message.into_iter().fold([a, b, c, d, 0], round);
    [a, b, c, d]
}

/// SHA1NEXTE: the E of four rounds later, added to the first word of the message.
fn sha1_next_e([a, ..]: Words, [w0, w1, w2, w3]: Words) -> Words {
    [w0.wrapping_add(a.rotate_left(30)), w1, w2, w3]
}

/// SHA1MSG1: the exclusive or of words two apart.
fn sha1_message_1([w0, w1, w2, w3]: Words, [w4, w5, ..]: Words) -> Words {
    [w2 ^ w0, w3 ^ w1, w4 ^ w2, w5 ^ w3]
}

/// SHA1MSG2: the last step of four new words; the fourth needs the first.
fn sha1_message_2([x0, x1, x2, x3]: Words, [_, w13, w14, w15]: Words) -> Words {
    let w16 = (x0 ^ w13).rotate_left(1);
    let w17 = (x1 ^ w14).rotate_left(1);
    let w18 = (x2 ^ w15).rotate_left(1);
    let w19 = (x3 ^ w16).rotate_left(1);
    [w16, w17, w18, w19]
}

/// SHA256RNDS2: two rounds. The second operand holds A, B, E, F, the first C, D, G, H; the two
/// words of the message with their constants are the lowest of XMM0.
fn sha256_rounds([c, d, g, h]: Words, [a, b, e, f]: Words, [_, _, k1, k0]: Words) -> Words {
    let round = |[a, b, c, d, e, f, g, h]: [u32; 8], word: u32| {
        let big_sigma_1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let big_sigma_0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let t1 = choose(e, f, g)
            .wrapping_add(big_sigma_1)
            .wrapping_add(word)
            .wrapping_add(h);
        let t2 = majority(a, b, c).wrapping_add(big_sigma_0);
        [t1.wrapping_add(t2), a, b, c, d.wrapping_add(t1), e, f, g]
    };
    let [a, b, _, _, e, f, _, _] = round(round([a, b, c, d, e, f, g, h], k0), k1);
    [a, b, e, f]
}

/// SHA256MSG1: each word and sigma 0 of the one after it.
fn sha256_message_1([w3, w2, w1, w0]: Words, [.., w4]: Words) -> Words {
    let sigma_0 = |w: u32| w.rotate_right(7) ^ w.rotate_right(18) ^ w >> 3;
    [(w3, w4), (w2, w3), (w1, w2), (w0, w1)].map(|(word, next)| word.wrapping_add(sigma_0(next)))
}

/// SHA256MSG2: sigma 1 of the words two before, the last two of which are new themselves.
fn sha256_message_2([x3, x2, x1, x0]: Words, [w15, w14, ..]: Words) -> Words {
    let sigma_1 = |w: u32| w.rotate_right(17) ^ w.rotate_right(19) ^ w >> 10;
    let w16 = x0.wrapping_add(sigma_1(w14));
    let w17 = x1.wrapping_add(sigma_1(w15));
    let w18 = x2.wrapping_add(sigma_1(w16));
    let w19 = x3.wrapping_add(sigma_1(w17));
    [w19, w18, w17, w16]
}
