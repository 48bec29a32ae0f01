//! SSE, AVX and F16C: a line an instruction, with what is ours beside what the host runs.

use std::arch::x86_64::__cpuid;

use machine::cpu::fp::{
    DOUBLE, Flags, Format, HALF, Relation, Rounding, SINGLE, estimate, half, sse,
};

use crate::host::host_sse;
use crate::random::{Random, mxcsr};
use crate::{ROUNDS, rflags_of};

type Result = (u64, Flags);

/// Bits of a result.
const ALL: u64 = u64::MAX;
const LOW: u64 = 0xffff_ffff;
const QUARTER: u64 = 0xffff;
/// ZF, PF, CF.
const ZPC: u64 = 0x45;

#[track_caller]
fn judge(
    name: &str,
    format: Format,
    ours: impl Fn(u64, u64, sse::Control) -> Result,
    theirs: impl Fn(u64, u64, u32) -> Result,
    result: u64,
) {
    let mut random = Random(name.len() as u64);
    for _ in 0..ROUNDS {
        let (a, b) = (random.interchange(format), random.interchange(format));
        let b = match random.below(8) {
            0 => a ^ random.below(3),
            _ => b,
        };
        compare(name, (a, b), mxcsr(&mut random), &ours, &theirs, result);
    }
}

#[track_caller]
fn compare(
    name: &str,
    (a, b): (u64, u64),
    mxcsr: u32,
    ours: impl Fn(u64, u64, sse::Control) -> Result,
    theirs: impl Fn(u64, u64, u32) -> Result,
    result: u64,
) {
    let (want, want_flags) = theirs(a, b, mxcsr);
    let (got, got_flags) = ours(a, b, sse::Control::from_mxcsr(mxcsr));
    assert_eq!(
        (got & result, got_flags),
        (want & result, want_flags),
        "{name} {a:#x} {b:#x} mxcsr {mxcsr:#x}: got {:#x}, host {:#x}",
        got & result,
        want & result,
    );
}

/// Name, operands' format, the bits of the result that count, the host's code, and ours.
macro_rules! table {
    ($($name:ident $format:ident $result:ident $text:literal $ours:expr;)*) => { $(
        #[test]
        fn $name() {
            judge(
                stringify!($name),
                $format,
                $ours,
                |a, b, mxcsr| host_sse!($text, a, b, mxcsr),
                $result,
            );
        }
    )* };
}

table! {
    addsd DOUBLE ALL "addsd xmm0, xmm1" |a, b, c| sse::add(DOUBLE, a, b, c);
    addss SINGLE LOW "addss xmm0, xmm1" |a, b, c| sse::add(SINGLE, a, b, c);
    subsd DOUBLE ALL "subsd xmm0, xmm1" |a, b, c| sse::sub(DOUBLE, a, b, c);
    subss SINGLE LOW "subss xmm0, xmm1" |a, b, c| sse::sub(SINGLE, a, b, c);
    mulsd DOUBLE ALL "mulsd xmm0, xmm1" |a, b, c| sse::mul(DOUBLE, a, b, c);
    mulss SINGLE LOW "mulss xmm0, xmm1" |a, b, c| sse::mul(SINGLE, a, b, c);
    divsd DOUBLE ALL "divsd xmm0, xmm1" |a, b, c| sse::div(DOUBLE, a, b, c);
    divss SINGLE LOW "divss xmm0, xmm1" |a, b, c| sse::div(SINGLE, a, b, c);
    minsd DOUBLE ALL "minsd xmm0, xmm1" |a, b, c| sse::min(DOUBLE, a, b, c);
    minss SINGLE LOW "minss xmm0, xmm1" |a, b, c| sse::min(SINGLE, a, b, c);
    maxsd DOUBLE ALL "maxsd xmm0, xmm1" |a, b, c| sse::max(DOUBLE, a, b, c);
    maxss SINGLE LOW "maxss xmm0, xmm1" |a, b, c| sse::max(SINGLE, a, b, c);
    sqrtsd DOUBLE ALL "sqrtsd xmm0, xmm1" |_, b, c| sse::sqrt(DOUBLE, b, c);
    sqrtss SINGLE LOW "sqrtss xmm0, xmm1" |_, b, c| sse::sqrt(SINGLE, b, c);
    cvtsd2si DOUBLE ALL "cvtsd2si rax, xmm1
        movq xmm0, rax" |_, b, c| integer(sse::to_int(DOUBLE, b, 64, c));
    cvtsd2si32 DOUBLE ALL "cvtsd2si eax, xmm1
        movsxd rax, eax
        movq xmm0, rax" |_, b, c| integer(sse::to_int(DOUBLE, b, 32, c));
    cvttss2si SINGLE ALL "cvttss2si rax, xmm1
        movq xmm0, rax" |_, b, c| {
            integer(sse::to_int(SINGLE, b, 64, c.with_rounding(Rounding::Zero)))
        };
    cvtsi2sd DOUBLE ALL "movq rax, xmm1
        cvtsi2sd xmm0, rax" |_, b, c| sse::from_int(DOUBLE, b as i64, c);
    cvtsi2ss DOUBLE LOW "movq rax, xmm1
        cvtsi2ss xmm0, rax" |_, b, c| sse::from_int(SINGLE, b as i64, c);
    cvtsd2ss DOUBLE LOW "cvtsd2ss xmm0, xmm1" |_, b, c| sse::convert(DOUBLE, SINGLE, b, c);
    cvtss2sd SINGLE ALL "cvtss2sd xmm0, xmm1" |_, b, c| sse::convert(SINGLE, DOUBLE, b, c);
    comisd DOUBLE ZPC "comisd xmm0, xmm1
        pushfq
        pop rax
        movq xmm0, rax" |a, b, c| rflags(sse::compare(DOUBLE, a, b, c, false));
    ucomiss SINGLE ZPC "ucomiss xmm0, xmm1
        pushfq
        pop rax
        movq xmm0, rax" |a, b, c| rflags(sse::compare(SINGLE, a, b, c, true));
}

/// The same for each of these immediates, with the host's feature that they need.
macro_rules! table_by_number {
    ($($name:ident $feature:tt $format:ident $result:ident $text:literal [$($number:literal)*]
       $ours:expr;)*) => { $(
        #[test]
        fn $name() {
            if !std::is_x86_feature_detected!($feature) {
                return;
            }
            let ours: fn(u8, u64, u64, sse::Control) -> Result = $ours;
            $(
                judge(
                    concat!(stringify!($name), " ", $number),
                    $format,
                    |a, b, control| ours($number, a, b, control),
                    |a, b, mxcsr| host_sse!(concat!($text, ", ", $number), a, b, mxcsr),
                    $result,
                );
            )*
        }
    )* };
}

table_by_number! {
    cmpsd "sse2" DOUBLE ALL "cmpsd xmm0, xmm1" [0 1 2 3 4 5 6 7]
        |n, a, b, c| all_if(sse::predicate(DOUBLE, a, b, c, n));
    cmpss "sse2" SINGLE LOW "cmpss xmm0, xmm1" [0 1 2 3 4 5 6 7]
        |n, a, b, c| all_if(sse::predicate(SINGLE, a, b, c, n));
    vcmpsd "avx" DOUBLE ALL "vcmpsd xmm0, xmm0, xmm1"
        [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31]
        |n, a, b, c| all_if(sse::predicate(DOUBLE, a, b, c, n));
    vcmpss "avx" SINGLE LOW "vcmpss xmm0, xmm0, xmm1"
        [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31]
        |n, a, b, c| all_if(sse::predicate(SINGLE, a, b, c, n));
    roundsd "sse4.1" DOUBLE ALL "roundsd xmm0, xmm1" [0 1 2 3 4 8 9 12]
        |n, _, b, c| sse::round_to_whole(DOUBLE, b, mode(n, c), n & 8 != 0);
    vcvtps2ph "f16c" SINGLE QUARTER "vcvtps2ph xmm0, xmm1" [0 1 2 3 4]
        |n, _, b, c| half::from_single(b, mode(n, c));
}

fn integer((value, flags): (i64, Flags)) -> Result {
    (value as u64, flags)
}

fn rflags((relation, flags): (Relation, Flags)) -> Result {
    (rflags_of(relation), flags)
}

/// The mask that a comparison makes.
fn all_if((holds, flags): (bool, Flags)) -> Result {
    (if holds { ALL } else { 0 }, flags)
}

/// The rounding that an immediate asks for.
fn mode(number: u8, control: sse::Control) -> sse::Control {
    match number & 4 {
        0 => control.with_rounding(Rounding::from_rc(number.into())),
        _ => control,
    }
}

/// Around the smallest and largest singles.
#[test]
fn cvtsd2ss_near_the_limits() {
    let mut random = Random(77);
    for _ in 0..ROUNDS {
        let near = match random.below(2) {
            0 => 1023 - 152,
            _ => 1023 + 125,
        };
        let b = random.below(2) << 63 | (near + random.below(30)) << 52 | random.bits() >> 12;
        compare(
            "cvtsd2ss",
            (0, b),
            mxcsr(&mut random),
            |_, b, control| sse::convert(DOUBLE, SINGLE, b, control),
            |a, b, mxcsr| host_sse!("cvtsd2ss xmm0, xmm1", a, b, mxcsr),
            ALL,
        );
    }
}

#[test]
fn vcvtph2ps() {
    if !std::is_x86_feature_detected!("f16c") {
        return;
    }
    judge(
        "vcvtph2ps",
        HALF,
        |_, b, control| half::to_single(b, control),
        |a, b, mxcsr| host_sse!("vcvtph2ps xmm0, xmm1", a, b, mxcsr),
        LOW,
    );
}

/// The estimates are those of Intel's tables; other makers have others.
#[test]
fn estimates() {
    if __cpuid(0).ebx != u32::from_le_bytes(*b"Genu") {
        return;
    }
    judge(
        "rcpss",
        SINGLE,
        |_, b, _| (estimate::reciprocal(b), Flags::empty()),
        |a, b, mxcsr| host_sse!("rcpss xmm0, xmm1", a, b, mxcsr),
        LOW,
    );
    judge(
        "rsqrtss",
        SINGLE,
        |_, b, _| (estimate::reciprocal_root(b), Flags::empty()),
        |a, b, mxcsr| host_sse!("rsqrtss xmm0, xmm1", a, b, mxcsr),
        LOW,
    );
}
