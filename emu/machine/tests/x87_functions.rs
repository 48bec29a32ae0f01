//! The elementary functions of the x87: against reference values of 128 bits in all rounding
//! modes, and near the host's CPU.

use machine::cpu::fp::x87::{Control, Outcome};
use machine::cpu::fp::{EXTENDED, F80, Flags, Rounding, Wide, elementary, round};

mod reference;

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod native;

fn call(function: &str, operands: &[F80], control: Control) -> Outcome<F80> {
    let of_angle = |outcome: Option<Outcome<F80>>| outcome.expect("an operand in range");
    match (function, operands) {
        ("sin", &[a]) => of_angle(elementary::sin(a, control)),
        ("cos", &[a]) => of_angle(elementary::cos(a, control)),
        ("tan", &[a]) => of_angle(elementary::tan(a, control)),
        ("exp2_minus_1", &[a]) => elementary::exp2_minus_1(a, control),
        ("atan2", &[y, x]) => elementary::atan2(y, x, control),
        ("y_log2", &[y, x]) => elementary::y_log2(y, x, control),
        ("y_log2_of_one_more", &[y, x]) => elementary::y_log2_of_one_more(y, x, control),
        _ => panic!("{function} of {} operands", operands.len()),
    }
}

#[test]
fn results_are_correctly_rounded_in_every_mode() {
    let mut lines = 0;
    for reference in reference::references() {
        lines += 1;
        let operands: Vec<F80> = reference
            .operands
            .iter()
            .map(|&(se, sig)| F80 { se, sig })
            .collect();
        let exact = Wide {
            sign: reference.sign,
            exp: reference.exp,
            sig: reference.sig | 1,
        };
        for rc in 0..4 {
            let rounding = Rounding::from_rc(rc);
            // The precision field has no say.
            let precision = [24, 53, 64][lines % 3];
            let masked = Flags::all();
            let control = Control {
                rounding,
                precision,
                masked,
            };
            let want = round(&exact, EXTENDED, rounding, true);
            let want = Outcome {
                value: F80::finite(exact.sign, want.exp, want.sig),
                flags: want.flags,
                up: want.up,
            };
            let got = call(reference.function, &operands, control);
            assert_eq!(got, want, "{} {operands:x?} {rc}", reference.function);
        }
    }
    assert!(lines > 650, "only {lines} lines");
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod near_the_host {
    use super::native::{Case, Guest, Random, host};
    use super::*;

    /// Cases for each function.
    const CASES: usize = 1500;

    const FUNCTIONS: [(&str, [u8; 2]); 8] = [
        ("F2XM1", [0xd9, 0xf0]),
        ("FYL2X", [0xd9, 0xf1]),
        ("FPTAN", [0xd9, 0xf2]),
        ("FPATAN", [0xd9, 0xf3]),
        ("FYL2XP1", [0xd9, 0xf9]),
        ("FSINCOS", [0xd9, 0xfb]),
        ("FSIN", [0xd9, 0xfe]),
        ("FCOS", [0xd9, 0xff]),
    ];

    const IE: u16 = 1;
    const UE: u16 = 16;
    const PE: u16 = 32;
    const C1: u16 = 1 << 9;

    fn operand(random: &mut Random) -> F80 {
        let mut operand = random.f80();
        // Numbers for which a function has something to compute.
        if random.below(4) != 0 {
            operand.se = operand.se & 0x8000 | (0x3fff - 70 + random.below(75) as u16);
            operand.sig |= 1 << 63;
        }
        operand
    }

    fn case(random: &mut Random) -> Case {
        let mut case = Case::random(random);
        let precision = random.below(4) as u16;
        case.control = 0x7f | precision << 8 | (random.below(4) as u16) << 10;
        if random.below(8) == 0 {
            case.control &= !(random.below(64) as u16);
        }
        case.status = random.next() as u16 & 0x7f00;
        case.full = match random.below(8) {
            0 => random.next() as u8,
            1 => 0xff,
            // Full but for the one that a push would take.
            _ => !(1u8.rotate_left(u32::from(case.status >> 11 & 7) + 7)),
        };
        for st in &mut case.st {
            *st = operand(random);
        }
        case
    }

    /// A number's place in the order of all numbers of its sign.
    fn place(a: F80) -> u128 {
        u128::from(a.field()) << 63 | u128::from(a.sig & !(1 << 63))
    }

    /// Whether two numbers are the same but for the last place.
    fn is_near(a: F80, b: F80) -> bool {
        a == b || a.sign() == b.sign() && place(a).abs_diff(place(b)) <= 1
    }

    /// What has to be equal: everything but the last places of results, and which way they were
    /// rounded. A result on the edge of the denormals may be on the other side of it.
    fn comparable(case: &Case, before: &Case, like: &Case) -> Case {
        let mut case = case.clone();
        for i in 0..8 {
            if is_near(case.st[i], like.st[i]) {
                case.st[i] = like.st[i];
            }
        }
        if case.status & PE != before.status & PE && case.status & IE == 0 {
            case.status &= !C1;
        }
        let edge = like.st.iter().any(|st| matches!(place(*st) >> 62, 1 | 2));
        if edge {
            case.st = like.st;
            case.status &= !UE;
        }
        case
    }

    #[test]
    fn every_function_is_near_the_host() {
        let (mut guest, mut random) = (Guest::new(), Random(9));
        let mut text = String::new();
        for (name, bytes) in FUNCTIONS {
            let wrong = (0..CASES).find_map(|_| {
                let before = case(&mut random);
                let want = host().run(&bytes, &before);
                let got = guest.run(&bytes, &before).unwrap();
                let (got, want) = (
                    comparable(&got, &before, &want),
                    comparable(&want, &before, &want),
                );
                (got != want).then(|| {
                    format!(
                        "{name} control {:#x} status {:#x} full {:#x} st {:x?}\n{}",
                        before.control,
                        before.status,
                        before.full,
                        &before.st[..2],
                        got.difference(&want)
                    )
                })
            });
            text += &wrong.unwrap_or_default();
        }
        assert!(text.is_empty(), "{text}");
    }
}
