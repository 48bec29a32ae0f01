use super::*;

/// Bits of a result that are right before it is rounded, as `docs/cpu.md` promises.
const BITS: u32 = 120;

fn operand(word: &str) -> Unpacked {
    let se = u16::from_str_radix(&word[..4], 16).unwrap();
    let sig = u64::from_str_radix(&word[4..], 16).unwrap();
    F80 { sig, se }.unpack()
}

fn call(function: &str, operands: &[Unpacked]) -> Wide {
    let times = |y: &Unpacked, log: Wide| fixed::mul(&fixed::widened(y), &log);
    match (function, operands) {
        ("sin", [a]) => trigonometry::sin_cos(a).0,
        ("cos", [a]) => trigonometry::sin_cos(a).1,
        ("tan", [a]) => trigonometry::tan(a),
        ("exp2_minus_1", [a]) => logarithm::exp2_minus_1(a),
        ("atan2", [y, x]) => arctangent::angle(y, x),
        ("y_log2", [y, x]) => times(y, logarithm::log2(&fixed::widened(x))),
        ("y_log2_of_one_more", [y, x]) => times(y, logarithm::log2_of_one_more(x)),
        _ => panic!("{function} of {} operands", operands.len()),
    }
}

/// Against the same lines as `tests/x87_functions.rs`, before the rounding.
#[test]
fn results_are_exact_to_120_bits() {
    for line in include_str!("../../../../tests/reference/functions.txt").lines() {
        let words: alloc::vec::Vec<&str> = line.split(' ').collect();
        let [function, operands @ .., sign, exp, sig] = &words[..] else {
            panic!("{line}");
        };
        let operands: alloc::vec::Vec<Unpacked> =
            operands.iter().map(|word| operand(word)).collect();
        let got = call(function, &operands);
        let exp: i32 = exp.parse().unwrap();
        let sig = u128::from_str_radix(sig, 16).unwrap();
        assert_eq!((got.sign, got.exp), (*sign == "-", exp), "{line}");
        assert!(
            got.sig.abs_diff(sig) >> (128 - BITS) == 0,
            "{line}: {:x}",
            got.sig
        );
    }
}
