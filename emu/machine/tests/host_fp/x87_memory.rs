//! The x87's loads and stores: a line an instruction.

use machine::cpu::fp::{DOUBLE, F80, Flags, Rounding, SINGLE, x87};

use crate::host::{host_load, host_store};
use crate::random::{Random, fcw};
use crate::{C1, EXCEPTIONS, ROUNDS, status_of};

type Stored = (u128, Flags, bool);

/// A number that is often near a limit of what is stored.
fn operand(random: &mut Random) -> F80 {
    const BIASES: [u64; 5] = [
        0x3fff,
        0x3fff + 1024 - 2148,
        0x3fff + 1010,
        0x3fff - 160,
        0x3fff + 120,
    ];
    let a = random.f80();
    if random.below(3) != 0 {
        return a;
    }
    let near = BIASES[random.below(5) as usize] + random.below(72);
    F80 {
        sig: a.sig | 1 << 63,
        se: a.se & 0x8000 | near as u16,
    }
}

#[track_caller]
fn judge_store(
    name: &str,
    ours: impl Fn(F80, x87::Control) -> Stored,
    theirs: impl Fn(F80, u16) -> ([u8; 16], u16),
) {
    let mut random = Random(name.len() as u64 * 7);
    for _ in 0..ROUNDS {
        let a = operand(&mut random);
        let fcw = fcw(&mut random) | EXCEPTIONS;
        let (want, want_status) = theirs(a, fcw);
        let (got, flags, up) = ours(a, x87::Control::from_fcw(fcw));
        let status = status_of(flags, up);
        assert_eq!(
            (got, status),
            (u128::from_le_bytes(want), want_status & (EXCEPTIONS | C1)),
            "{name} {a:x?} fcw {fcw:#x}: got {got:#x} {status:#x}, host {want:x?} {want_status:#x}",
        );
    }
}

macro_rules! stores {
    ($($name:ident $text:literal $ours:expr;)*) => { $(
        #[test]
        fn $name() {
            judge_store(stringify!($name), $ours, |a, fcw| host_store!($text, a, fcw));
        }
    )* };
}

stores! {
    fstp_m32 "fstp dword ptr [{stored}]" |a, c| narrow(x87::store(SINGLE, a, c));
    fstp_m64 "fstp qword ptr [{stored}]" |a, c| narrow(x87::store(DOUBLE, a, c));
    fistp_m16 "fistp word ptr [{stored}]" |a, c| integer(a, 16, c.rounding);
    fistp_m32 "fistp dword ptr [{stored}]" |a, c| integer(a, 32, c.rounding);
    fistp_m64 "fistp qword ptr [{stored}]" |a, c| integer(a, 64, c.rounding);
    fisttp_m64 "fisttp qword ptr [{stored}]" |a, _| integer(a, 64, Rounding::Zero);
    fbstp "fbstp [{stored}]" |a, c| decimal(x87::to_bcd(a, c.rounding));
}

fn narrow(outcome: x87::Outcome<u64>) -> Stored {
    (outcome.value.into(), outcome.flags, outcome.up)
}

fn integer(a: F80, bits: u32, rounding: Rounding) -> Stored {
    let outcome = x87::to_int(a, bits, rounding);
    let value = outcome.value as u64 & u64::MAX >> (64 - bits);
    (value.into(), outcome.flags, outcome.up)
}

fn decimal(outcome: x87::Outcome<[u8; 10]>) -> Stored {
    let mut bytes = [0; 16];
    bytes[..10].copy_from_slice(&outcome.value);
    (u128::from_le_bytes(bytes), outcome.flags, outcome.up)
}

macro_rules! loads {
    ($($name:ident $text:literal $bits:expr, $ours:expr;)*) => { $(
        #[test]
        fn $name() {
            let mut random = Random(5);
            let draw: fn(&mut Random) -> u128 = $bits;
            let ours: fn(u128) -> (F80, u16) = $ours;
            for _ in 0..ROUNDS {
                let bits = draw(&mut random);
                assert_eq!(ours(bits), host_load!($text, bits), "{} {bits:#x}", stringify!($name));
            }
        }
    )* };
}

loads! {
    fld_m32 "fld dword ptr [{bits}]" |r| r.interchange(SINGLE).into(),
        |bits| loaded(x87::load(SINGLE, bits as u64));
    fld_m64 "fld qword ptr [{bits}]" |r| r.interchange(DOUBLE).into(),
        |bits| loaded(x87::load(DOUBLE, bits as u64));
    fild_m64 "fild qword ptr [{bits}]" |r| r.bits().into(),
        |bits| (x87::from_int(bits as i64), 0);
    fbld "fbld [{bits}]" digits,
        |bits| (x87::from_bcd(std::array::from_fn(|i| bits.to_le_bytes()[i])), 0);
}

fn loaded(outcome: x87::Outcome<F80>) -> (F80, u16) {
    (outcome.value, status_of(outcome.flags, outcome.up))
}

/// Eighteen decimal digits and a sign.
fn digits(random: &mut Random) -> u128 {
    let digits = (0..18).fold(0, |value, _| value << 4 | u128::from(random.below(10)));
    digits | u128::from(random.below(2)) << 79
}
