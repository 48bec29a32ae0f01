//! The host's own CPU judges the arithmetic of `cpu::fp`: values, flags and C1.
#![cfg(target_arch = "x86_64")]

use std::arch::asm;

use machine::cpu::fp::{
    DOUBLE, EXTENDED, F80, Flags, Format, HALF, Relation, Rounding, SINGLE, estimate, fused, half,
    sse, x87,
};

/// Bounded, seeded and enough to meet each special case many times.
const ROUNDS: usize = 60_000;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// A significand's bits: random, sparse, or nearly all equal.
    fn bits(&mut self) -> u64 {
        let value = self.next();
        match self.below(6) {
            0 => value & self.next() & self.next(),
            1 => value | self.next() | self.next(),
            2 => 1 << self.below(64),
            3 => u64::MAX << self.below(64),
            4 => u64::MAX >> self.below(64),
            _ => value,
        }
    }

    fn field(&mut self, top: u64) -> u64 {
        match self.below(12) {
            0 => 0,
            1 => top,
            2 => 1 + self.below(3),
            3 => top - 1 - self.below(3),
            4..=8 => (top / 2).saturating_sub(40) + self.below(80.min(top)),
            _ => self.below(top + 1),
        }
    }

    fn interchange(&mut self, format: Format) -> u64 {
        let (fraction, top, sign) = match format {
            HALF => (10, 31, 15),
            SINGLE => (23, 255, 31),
            _ => (52, 2047, 63),
        };
        let bits = match self.below(5) {
            0 => self.below(2) << (fraction - 1),
            _ => self.bits() >> self.below(2) & ((1 << fraction) - 1),
        };
        self.below(2) << sign | self.field(top) << fraction | bits
    }

    fn f80(&mut self) -> F80 {
        let field = self.field(0x7fff) as u16;
        let se = (self.below(2) as u16) << 15 | field;
        let mut sig = self.bits();
        match self.below(20) {
            0 => {}
            1 => sig = self.below(2) << 63 | self.below(2) << 62,
            _ if field == 0 => sig &= !(1 << 63),
            _ => sig |= 1 << 63,
        }
        // Whole numbers, singles and doubles in the wide format.
        match self.below(6) {
            0 => sig &= u64::MAX << 40,
            1 => sig &= u64::MAX << 11,
            2 => sig &= u64::MAX << 10,
            _ => {}
        }
        F80 { sig, se }
    }
}

fn mxcsr(random: &mut Random) -> u32 {
    0x1f80 | (random.below(4) as u32) << 13 | daz_ftz(random)
}

fn daz_ftz(random: &mut Random) -> u32 {
    match random.below(4) {
        0 => 1 << 6,
        1 => 1 << 15,
        2 => 1 << 6 | 1 << 15,
        _ => 0,
    }
}

macro_rules! host_sse {
    ($text:expr, $a:expr, $b:expr, $mxcsr:expr) => {{
        let (mut a, b): (u64, u64) = ($a, $b);
        let saved: u32 = 0x1f80;
        let mut control: u32 = $mxcsr;
        // SAFETY: only the named registers change, and MXCSR is put back.
        unsafe {
            asm!(
                "ldmxcsr [{control}]",
                "movq xmm0, {a}",
                "movq xmm1, {b}",
                $text,
                "stmxcsr [{control}]",
                "movq {a}, xmm0",
                "ldmxcsr [{saved}]",
                control = in(reg) &mut control,
                saved = in(reg) &saved,
                a = inout(reg) a,
                b = in(reg) b,
                out("rax") _,
                out("xmm0") _,
                out("xmm1") _,
            );
        }
        (a, Flags::from_bits_truncate(control as u8 & 0x3f))
    }};
}

type Lane = fn(Format, u64, u64, sse::Control) -> (u64, Flags);

fn mask(format: Format) -> u64 {
    if format == SINGLE {
        0xffff_ffff
    } else {
        u64::MAX
    }
}

#[track_caller]
fn judge_sse(
    name: &str,
    format: Format,
    ours: impl Fn(u64, u64, sse::Control) -> (u64, Flags),
    theirs: impl Fn(u64, u64, u32) -> (u64, Flags),
    result: u64,
) {
    let mut random = Random(name.len() as u64);
    for _ in 0..ROUNDS {
        let (a, b) = (random.interchange(format), random.interchange(format));
        let b = if random.below(8) == 0 {
            a ^ random.below(3)
        } else {
            b
        };
        let mxcsr = mxcsr(&mut random);
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
}

macro_rules! judge_binary {
    ($($name:ident: $text:literal $format:ident $ours:expr;)*) => { $(
        #[test]
        fn $name() {
            let ours: Lane = $ours;
            judge_sse(
                stringify!($name),
                $format,
                |a, b, control| ours($format, a, b, control),
                |a, b, mxcsr| host_sse!($text, a, b, mxcsr),
                mask($format),
            );
        }
    )* };
}

judge_binary! {
    addsd: "addsd xmm0, xmm1" DOUBLE sse::add;
    addss: "addss xmm0, xmm1" SINGLE sse::add;
    subsd: "subsd xmm0, xmm1" DOUBLE sse::sub;
    subss: "subss xmm0, xmm1" SINGLE sse::sub;
    mulsd: "mulsd xmm0, xmm1" DOUBLE sse::mul;
    mulss: "mulss xmm0, xmm1" SINGLE sse::mul;
    divsd: "divsd xmm0, xmm1" DOUBLE sse::div;
    divss: "divss xmm0, xmm1" SINGLE sse::div;
    minsd: "minsd xmm0, xmm1" DOUBLE sse::min;
    minss: "minss xmm0, xmm1" SINGLE sse::min;
    maxsd: "maxsd xmm0, xmm1" DOUBLE sse::max;
    maxss: "maxss xmm0, xmm1" SINGLE sse::max;
    sqrtsd: "sqrtsd xmm0, xmm1" DOUBLE |format, _, b, control| sse::sqrt(format, b, control);
    sqrtss: "sqrtss xmm0, xmm1" SINGLE |format, _, b, control| sse::sqrt(format, b, control);
    cvtsd2si: "cvtsd2si rax, xmm1
               movq xmm0, rax" DOUBLE |format, _, b, control| {
        let (value, flags) = sse::to_int(format, b, 64, control);
        (value as u64, flags)
    };
    cvtsd2si32: "cvtsd2si eax, xmm1
               movsxd rax, eax
               movq xmm0, rax" DOUBLE |format, _, b, control| {
        let (value, flags) = sse::to_int(format, b, 32, control);
        (value as u64, flags)
    };
    cvttss2si: "cvttss2si rax, xmm1
               movq xmm0, rax" SINGLE |format, _, b, control| {
        let (value, flags) = sse::to_int(format, b, 64, control.with_rounding(Rounding::Zero));
        (value as u64 & 0xffff_ffff, flags)
    };
}

#[test]
fn cvtsi2sd() {
    judge_sse(
        "cvtsi2sd",
        DOUBLE,
        |_, b, control| sse::from_int(DOUBLE, b as i64, control),
        |a, b, mxcsr| host_sse!("movq rax, xmm1\ncvtsi2sd xmm0, rax", a, b, mxcsr),
        u64::MAX,
    );
}

#[test]
fn cvtsi2ss() {
    judge_sse(
        "cvtsi2ss",
        DOUBLE,
        |_, b, control| sse::from_int(SINGLE, b as i64, control),
        |a, b, mxcsr| host_sse!("movq rax, xmm1\ncvtsi2ss xmm0, rax", a, b, mxcsr),
        0xffff_ffff,
    );
}

#[test]
fn cvtsd2ss() {
    judge_sse(
        "cvtsd2ss",
        DOUBLE,
        |_, b, control| sse::convert(DOUBLE, SINGLE, b, control),
        |a, b, mxcsr| host_sse!("cvtsd2ss xmm0, xmm1", a, b, mxcsr),
        0xffff_ffff,
    );
    // Around the smallest and largest singles.
    let mut random = Random(77);
    for _ in 0..ROUNDS {
        let near = if random.below(2) == 0 {
            1023 - 152
        } else {
            1023 + 125
        };
        let b = random.below(2) << 63 | (near + random.below(30)) << 52 | random.bits() >> 12;
        let mxcsr = mxcsr(&mut random);
        let want = host_sse!("cvtsd2ss xmm0, xmm1", 0, b, mxcsr);
        let got = sse::convert(DOUBLE, SINGLE, b, sse::Control::from_mxcsr(mxcsr));
        assert_eq!(got, want, "cvtsd2ss {b:#x} mxcsr {mxcsr:#x}");
    }
}

#[test]
fn cvtss2sd() {
    judge_sse(
        "cvtss2sd",
        SINGLE,
        |_, b, control| sse::convert(SINGLE, DOUBLE, b, control),
        |a, b, mxcsr| host_sse!("cvtss2sd xmm0, xmm1", a, b, mxcsr),
        u64::MAX,
    );
}

#[test]
fn cmpsd_and_cmpss() {
    macro_rules! predicates {
        ($($number:literal)*) => { $(
            judge_sse(
                concat!("cmpsd ", $number), DOUBLE,
                |a, b, control| {
                    let (holds, flags) = sse::predicate(DOUBLE, a, b, control, $number);
                    (if holds { u64::MAX } else { 0 }, flags)
                },
                |a, b, mxcsr| host_sse!(concat!("cmpsd xmm0, xmm1, ", $number), a, b, mxcsr),
                u64::MAX,
            );
            judge_sse(
                concat!("cmpss ", $number), SINGLE,
                |a, b, control| {
                    let (holds, flags) = sse::predicate(SINGLE, a, b, control, $number);
                    (if holds { u64::MAX } else { 0 }, flags)
                },
                |a, b, mxcsr| host_sse!(concat!("cmpss xmm0, xmm1, ", $number), a, b, mxcsr),
                0xffff_ffff,
            );
        )* };
    }
    predicates!(0 1 2 3 4 5 6 7);
}

#[test]
fn vcmpsd_and_vcmpss() {
    if !std::is_x86_feature_detected!("avx") {
        return;
    }
    macro_rules! predicates {
        ($($number:literal)*) => { $(
            judge_sse(
                concat!("vcmpsd ", $number), DOUBLE,
                |a, b, control| {
                    let (holds, flags) = sse::predicate(DOUBLE, a, b, control, $number);
                    (if holds { u64::MAX } else { 0 }, flags)
                },
                |a, b, mxcsr| host_sse!(concat!("vcmpsd xmm0, xmm0, xmm1, ", $number), a, b, mxcsr),
                u64::MAX,
            );
            judge_sse(
                concat!("vcmpss ", $number), SINGLE,
                |a, b, control| {
                    let (holds, flags) = sse::predicate(SINGLE, a, b, control, $number);
                    (if holds { u64::MAX } else { 0 }, flags)
                },
                |a, b, mxcsr| host_sse!(concat!("vcmpss xmm0, xmm0, xmm1, ", $number), a, b, mxcsr),
                0xffff_ffff,
            );
        )* };
    }
    predicates!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    predicates!(16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
}

/// Operands of `a * b + c` that also meet at the rounding position and cancel.
fn triple(random: &mut Random, format: Format) -> [u64; 3] {
    let [a, b, mut c] = [0; 3].map(|_| random.interchange(format));
    let control = sse::Control::from_mxcsr(0x1f80);
    if random.below(2) == 0 {
        c = sse::mul(format, a, b, control).0;
        if random.below(2) == 0 {
            c ^= 1 << random.below(if format == SINGLE { 32 } else { 64 });
        }
    }
    [a, b, c]
}

macro_rules! host_fma {
    ($text:expr, $operands:expr, $mxcsr:expr) => {{
        let [mut a, b, c]: [u64; 3] = $operands;
        let saved: u32 = 0x1f80;
        let mut control: u32 = $mxcsr;
        // SAFETY: only the named registers change, and MXCSR is put back.
        unsafe {
            asm!(
                "ldmxcsr [{control}]",
                "movq xmm0, {a}",
                "movq xmm1, {b}",
                "movq xmm2, {c}",
                $text,
                "stmxcsr [{control}]",
                "movq {a}, xmm0",
                "ldmxcsr [{saved}]",
                control = in(reg) &mut control,
                saved = in(reg) &saved,
                a = inout(reg) a,
                b = in(reg) b,
                c = in(reg) c,
                out("xmm0") _,
                out("xmm1") _,
                out("xmm2") _,
            );
        }
        (a, Flags::from_bits_truncate(control as u8 & 0x3f))
    }};
}

#[track_caller]
fn judge_fma(
    name: &str,
    format: Format,
    kind: fused::Kind,
    order: [usize; 3],
    theirs: impl Fn([u64; 3], u32) -> (u64, Flags),
) {
    let mut random = Random(name.len() as u64 + order[0] as u64);
    for _ in 0..ROUNDS {
        let operands = triple(&mut random, format);
        // The forms differ in which register holds which operand.
        let mut registers = [0; 3];
        for (operand, &register) in operands.iter().zip(&order) {
            registers[register] = *operand;
        }
        let mxcsr = mxcsr(&mut random);
        let (want, want_flags) = theirs(registers, mxcsr);
        let (got, flags) =
            fused::multiply_add(kind, format, operands, sse::Control::from_mxcsr(mxcsr));
        let want = want & mask(format);
        assert_eq!(
            (got, flags),
            (want, want_flags),
            "{name} {operands:#x?} mxcsr {mxcsr:#x}: got {got:#x}, host {want:#x}",
        );
    }
}

#[test]
fn fma() {
    if !std::is_x86_feature_detected!("fma") {
        return;
    }
    macro_rules! forms {
        ($($name:literal $kind:ident;)*) => { $(
            forms!(@ concat!($name, "132sd"), DOUBLE, $kind, [0, 2, 1]);
            forms!(@ concat!($name, "213sd"), DOUBLE, $kind, [1, 0, 2]);
            forms!(@ concat!($name, "231sd"), DOUBLE, $kind, [1, 2, 0]);
            forms!(@ concat!($name, "132ss"), SINGLE, $kind, [0, 2, 1]);
            forms!(@ concat!($name, "213ss"), SINGLE, $kind, [1, 0, 2]);
            forms!(@ concat!($name, "231ss"), SINGLE, $kind, [1, 2, 0]);
        )* };
        (@ $name:expr, $format:ident, $kind:ident, $order:expr) => {
            judge_fma($name, $format, fused::Kind::$kind, $order, |operands, mxcsr| {
                host_fma!(concat!($name, " xmm0, xmm1, xmm2"), operands, mxcsr)
            });
        };
    }
    forms! {
        "vfmadd" Add;
        "vfmsub" Sub;
        "vfnmadd" NegatedAdd;
        "vfnmsub" NegatedSub;
    }
}

#[test]
fn f16c() {
    if !std::is_x86_feature_detected!("f16c") {
        return;
    }
    judge_sse(
        "vcvtph2ps",
        HALF,
        |_, b, control| half::to_single(b, control),
        |a, b, mxcsr| host_sse!("vcvtph2ps xmm0, xmm1", a, b, mxcsr),
        0xffff_ffff,
    );
    macro_rules! modes {
        ($($mode:literal)*) => { $(
            judge_sse(
                concat!("vcvtps2ph ", $mode), SINGLE,
                |_, b, control| {
                    let control = if $mode & 4 != 0 { control } else {
                        control.with_rounding(Rounding::from_rc($mode))
                    };
                    half::from_single(b, control)
                },
                |a, b, mxcsr| host_sse!(concat!("vcvtps2ph xmm0, xmm1, ", $mode), a, b, mxcsr),
                0xffff,
            );
        )* };
    }
    modes!(0 1 2 3 4);
}

/// ZF, PF, CF as COMISD and FCOMI set them.
fn rflags_of(relation: Relation) -> u64 {
    match relation {
        Relation::Greater => 0,
        Relation::Less => 1,
        Relation::Equal => 0x40,
        Relation::Unordered => 0x45,
    }
}

#[test]
fn comisd_and_ucomiss() {
    judge_sse(
        "comisd",
        DOUBLE,
        |a, b, control| {
            let (relation, flags) = sse::compare(DOUBLE, a, b, control, false);
            (rflags_of(relation), flags)
        },
        |a, b, mxcsr| {
            host_sse!(
                "comisd xmm0, xmm1\npushfq\npop rax\nmovq xmm0, rax",
                a,
                b,
                mxcsr
            )
        },
        0x45,
    );
    judge_sse(
        "ucomiss",
        SINGLE,
        |a, b, control| {
            let (relation, flags) = sse::compare(SINGLE, a, b, control, true);
            (rflags_of(relation), flags)
        },
        |a, b, mxcsr| {
            host_sse!(
                "ucomiss xmm0, xmm1\npushfq\npop rax\nmovq xmm0, rax",
                a,
                b,
                mxcsr
            )
        },
        0x45,
    );
}

#[test]
fn roundsd() {
    if !std::is_x86_feature_detected!("sse4.1") {
        return;
    }
    macro_rules! modes {
        ($($mode:literal)*) => { $(
            judge_sse(
                concat!("roundsd ", $mode), DOUBLE,
                |_, b, control| {
                    let control = if $mode & 4 != 0 { control } else {
                        control.with_rounding(Rounding::from_rc($mode))
                    };
                    sse::round_to_whole(DOUBLE, b, control, $mode & 8 != 0)
                },
                |a, b, mxcsr| host_sse!(concat!("roundsd xmm0, xmm1, ", $mode), a, b, mxcsr),
                u64::MAX,
            );
        )* };
    }
    modes!(0 1 2 3 4 8 9 12);
}

/// Runs x87 code on the host with `st(0) = a`, `st(1) = b`: st(0) and the status word after it.
macro_rules! host_x87 {
    ($text:expr, $a:expr, $b:expr, $fcw:expr) => {{
        let mut bytes = [[0u8; 16]; 2];
        for (bytes, value) in bytes.iter_mut().zip([$a, $b]) {
            bytes[..8].copy_from_slice(&value.sig.to_le_bytes());
            bytes[8..10].copy_from_slice(&value.se.to_le_bytes());
        }
        let fcw: u16 = $fcw;
        let status: u16;
        // SAFETY: the x87 is empty between statements of Rust code, and is left so.
        unsafe {
            asm!(
                "fninit",
                "fldcw [{fcw}]",
                "fld tbyte ptr [{bytes} + 16]",
                "fld tbyte ptr [{bytes}]",
                $text,
                "fnstsw ax",
                "fnclex",
                "fstp tbyte ptr [{bytes}]",
                "fninit",
                fcw = in(reg) &fcw,
                bytes = in(reg) &mut bytes,
                out("ax") status,
                out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
            );
        }
        (read_f80(&bytes[0]), status)
    }};
}

fn read_f80(bytes: &[u8; 16]) -> F80 {
    F80 {
        sig: u64::from_le_bytes(bytes[..8].try_into().unwrap()),
        se: u16::from_le_bytes(bytes[8..10].try_into().unwrap()),
    }
}

fn fcw(random: &mut Random) -> u16 {
    let precision = [0u16, 2, 3, 3][random.below(4) as usize];
    // Overflow and underflow leave a scaled result when unmasked, so they can be judged here.
    let masks = [0x3f, 0x3f, 0x37, 0x2f, 0x27][random.below(5) as usize];
    masks | precision << 8 | (random.below(4) as u16) << 10 | 0x40
}

const C1: u16 = 1 << 9;

fn status_of(flags: Flags, up: bool) -> u16 {
    u16::from(flags.bits()) | if up { C1 } else { 0 }
}

#[track_caller]
fn judge_x87(
    name: &str,
    status_mask: u16,
    mut operands: impl FnMut(&mut Random) -> (F80, F80),
    ours: impl Fn(F80, F80, x87::Control) -> (F80, u16),
    theirs: impl Fn(F80, F80, u16) -> (F80, u16),
) {
    let mut random = Random(name.len() as u64 * 1000);
    for _ in 0..ROUNDS {
        let (a, b) = operands(&mut random);
        let fcw = fcw(&mut random);
        let (want, want_status) = theirs(a, b, fcw);
        let (got, got_status) = ours(a, b, x87::Control::from_fcw(fcw));
        assert_eq!(
            (got, got_status & status_mask),
            (want, want_status & status_mask),
            "{name} {a:x?} {b:x?} fcw {fcw:#x}: got {got:x?} {got_status:#x}, host {want:x?} {want_status:#x}",
        );
    }
}

fn pairs(random: &mut Random) -> (F80, F80) {
    let (a, mut b) = (random.f80(), random.f80());
    match random.below(8) {
        0 => {
            b = F80 {
                sig: a.sig ^ random.below(2),
                se: a.se ^ (random.below(2) as u16) << 15,
            }
        }
        1 => b.se = a.se ^ random.below(4) as u16 ^ (random.below(2) as u16) << 15,
        _ => {}
    }
    (a, b)
}

macro_rules! judge_x87_binary {
    ($($name:ident: $text:literal $ours:expr;)*) => { $(
        #[test]
        fn $name() {
            judge_x87(
                stringify!($name), 0x3f | C1, pairs,
                |a, b, control| {
                    let outcome: x87::Outcome<F80> = $ours(a, b, control);
                    (outcome.value, status_of(outcome.flags, outcome.up))
                },
                |a, b, fcw| host_x87!($text, a, b, fcw),
            );
        }
    )* };
}

judge_x87_binary! {
    fadd: "fadd st(0), st(1)" x87::add;
    fsub: "fsub st(0), st(1)" x87::sub;
    fmul: "fmul st(0), st(1)" x87::mul;
    fdiv: "fdiv st(0), st(1)" x87::div;
    fsqrt: "fsqrt" |a, _, control| x87::sqrt(a, control);
    frndint: "frndint" |a, _, control| x87::round_to_whole(a, control);
    fscale: "fscale" x87::scale;
    fxtract: "fxtract" |a, _, _| x87::extract(a).1;
}

#[test]
fn fcomi_and_fucomi() {
    judge_x87(
        "fcomi",
        0x3f,
        pairs,
        |a, b, _| {
            let (relation, flags) = x87::compare(a, b, false);
            (
                x87::from_int(rflags_of(relation) as i64),
                status_of(flags, false),
            )
        },
        |a, b, fcw| {
            host_x87!(
                "fcomi st, st(1)
                 pushfq
                 and qword ptr [rsp], 0x45
                 fstp st(0)
                 fild qword ptr [rsp]
                 add rsp, 8",
                a,
                b,
                fcw
            )
        },
    );
    judge_x87(
        "fucomi",
        0x3f,
        pairs,
        |a, b, _| {
            let (relation, flags) = x87::compare(a, b, true);
            (
                x87::from_int(rflags_of(relation) as i64),
                status_of(flags, false),
            )
        },
        |a, b, fcw| {
            host_x87!(
                "fucomi st, st(1)
                 pushfq
                 and qword ptr [rsp], 0x45
                 fstp st(0)
                 fild qword ptr [rsp]
                 add rsp, 8",
                a,
                b,
                fcw
            )
        },
    );
}

fn remainder_status(outcome: &x87::Outcome<F80>, step: x87::Step) -> u16 {
    let bits = match step {
        x87::Step::None => 0,
        x87::Step::Partial => 1 << 10,
        x87::Step::Whole(q) => {
            let q = u16::from(q);
            (q & 1) << 9 | (q >> 1 & 1) << 14 | (q >> 2 & 1) << 8
        }
    };
    u16::from(outcome.flags.bits()) | bits
}

#[test]
fn fprem_and_fprem1() {
    judge_x87(
        "fprem",
        0x473f | C1,
        pairs,
        |a, b, control| {
            let (outcome, quotient) = x87::remainder(a, b, false, control);
            (outcome.value, remainder_status(&outcome, quotient))
        },
        |a, b, fcw| host_x87!("fprem", a, b, fcw),
    );
    judge_x87(
        "fprem1",
        0x473f | C1,
        pairs,
        |a, b, control| {
            let (outcome, quotient) = x87::remainder(a, b, true, control);
            (outcome.value, remainder_status(&outcome, quotient))
        },
        |a, b, fcw| host_x87!("fprem1", a, b, fcw),
    );
}

/// Runs one x87 store of `a` on the host: what was stored, and the status word.
macro_rules! host_store {
    ($text:expr, $a:expr, $fcw:expr) => {{
        let mut bytes = [0u8; 16];
        bytes[..8].copy_from_slice(&$a.sig.to_le_bytes());
        bytes[8..10].copy_from_slice(&$a.se.to_le_bytes());
        let fcw: u16 = $fcw;
        let mut stored = [0u8; 16];
        let status: u16;
        // SAFETY: the x87 is empty between statements of Rust code, and is left so.
        unsafe {
            asm!(
                "fninit",
                "fldcw [{fcw}]",
                "fld tbyte ptr [{bytes}]",
                $text,
                "fnstsw ax",
                "fninit",
                fcw = in(reg) &fcw,
                bytes = in(reg) &bytes,
                stored = in(reg) &mut stored,
                out("ax") status,
                out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
            );
        }
        (stored, status)
    }};
}

#[track_caller]
fn judge_stored(
    name: &str,
    ours: impl Fn(F80, x87::Control) -> (u128, Flags, bool),
    theirs: impl Fn(F80, u16) -> ([u8; 16], u16),
) {
    let mut random = Random(name.len() as u64 * 7);
    for _ in 0..ROUNDS {
        let mut a = random.f80();
        if random.below(3) == 0 {
            let bias = [
                0x3fff,
                0x3fff + 1024 - 2148,
                0x3fff + 1010,
                0x3fff - 160,
                0x3fff + 120,
            ];
            let near = bias[random.below(5) as usize] as u64 + random.below(72);
            a = F80 {
                sig: a.sig | 1 << 63,
                se: a.se & 0x8000 | near as u16,
            };
        }
        let fcw = fcw(&mut random) | 0x3f;
        let (want, want_status) = theirs(a, fcw);
        let (got, flags, up) = ours(a, x87::Control::from_fcw(fcw));
        let status = status_of(flags, up);
        assert_eq!(
            (got, status),
            (u128::from_le_bytes(want), want_status & (0x3f | C1)),
            "{name} {a:x?} fcw {fcw:#x}: got {got:#x} {status:#x}, host {want:x?} {want_status:#x}",
        );
    }
}

fn narrow(outcome: x87::Outcome<u64>) -> (u128, Flags, bool) {
    (outcome.value.into(), outcome.flags, outcome.up)
}

fn integer(outcome: x87::Outcome<i64>, bits: u32) -> (u128, Flags, bool) {
    let mask = u64::MAX >> (64 - bits);
    (
        (outcome.value as u64 & mask).into(),
        outcome.flags,
        outcome.up,
    )
}

#[test]
fn stores() {
    judge_stored(
        "fstp m32",
        |a, control| narrow(x87::store(SINGLE, a, control)),
        |a, fcw| host_store!("fstp dword ptr [{stored}]", a, fcw),
    );
    judge_stored(
        "fstp m64",
        |a, control| narrow(x87::store(DOUBLE, a, control)),
        |a, fcw| host_store!("fstp qword ptr [{stored}]", a, fcw),
    );
    judge_stored(
        "fistp m16",
        |a, control| integer(x87::to_int(a, 16, control.rounding), 16),
        |a, fcw| host_store!("fistp word ptr [{stored}]", a, fcw),
    );
    judge_stored(
        "fistp m32",
        |a, control| integer(x87::to_int(a, 32, control.rounding), 32),
        |a, fcw| host_store!("fistp dword ptr [{stored}]", a, fcw),
    );
    judge_stored(
        "fistp m64",
        |a, control| integer(x87::to_int(a, 64, control.rounding), 64),
        |a, fcw| host_store!("fistp qword ptr [{stored}]", a, fcw),
    );
    judge_stored(
        "fisttp m64",
        |a, _| integer(x87::to_int(a, 64, Rounding::Zero), 64),
        |a, fcw| host_store!("fisttp qword ptr [{stored}]", a, fcw),
    );
    judge_stored(
        "fbstp",
        |a, control| {
            let outcome = x87::to_bcd(a, control.rounding);
            let mut bytes = [0; 16];
            bytes[..10].copy_from_slice(&outcome.value);
            (u128::from_le_bytes(bytes), outcome.flags, outcome.up)
        },
        |a, fcw| host_store!("fbstp [{stored}]", a, fcw),
    );
}

macro_rules! host_load {
    ($text:expr, $bits:expr) => {{
        let bits: [u8; 16] = u128::from($bits).to_le_bytes();
        let mut stored = [0u8; 16];
        let status: u16;
        // SAFETY: the x87 is empty between statements of Rust code, and is left so.
        unsafe {
            asm!(
                "fninit",
                $text,
                "fnstsw ax",
                "fstp tbyte ptr [{stored}]",
                "fninit",
                bits = in(reg) &bits,
                stored = in(reg) &mut stored,
                out("ax") status,
                out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
            );
        }
        (read_f80(&stored), status & 0x3f)
    }};
}

fn loaded(outcome: x87::Outcome<F80>) -> (F80, u16) {
    (outcome.value, status_of(outcome.flags, outcome.up))
}

#[test]
fn loads() {
    let mut random = Random(5);
    for _ in 0..ROUNDS {
        let (single, double) = (random.interchange(SINGLE), random.interchange(DOUBLE));
        let want = host_load!("fld qword ptr [{bits}]", double);
        assert_eq!(
            loaded(x87::load(DOUBLE, double)),
            want,
            "fld m64 {double:#x}"
        );
        let want = host_load!("fld dword ptr [{bits}]", single);
        assert_eq!(
            loaded(x87::load(SINGLE, single)),
            want,
            "fld m32 {single:#x}"
        );
        let integer = random.bits();
        let want = host_load!("fild qword ptr [{bits}]", integer);
        assert_eq!(
            (x87::from_int(integer as i64), 0),
            want,
            "fild m64 {integer:#x}"
        );
        let digits = (0..18).fold(0u128, |value, _| value << 4 | u128::from(random.below(10)));
        let bcd = digits | u128::from(random.below(2)) << 79;
        let want = host_load!("fbld [{bits}]", bcd);
        let bytes = bcd.to_le_bytes()[..10].try_into().unwrap();
        assert_eq!((x87::from_bcd(bytes), 0), want, "fbld {bcd:#x}");
    }
}

/// The estimates are those of Intel's tables; other makers have others.
#[test]
fn estimates() {
    let vendor = std::arch::x86_64::__cpuid(0);
    if vendor.ebx != u32::from_le_bytes(*b"Genu") {
        return;
    }
    let none = Flags::empty();
    judge_sse(
        "rcpss",
        SINGLE,
        |_, b, _| (estimate::reciprocal(b), none),
        |a, b, mxcsr| host_sse!("rcpss xmm0, xmm1", a, b, mxcsr),
        0xffff_ffff,
    );
    judge_sse(
        "rsqrtss",
        SINGLE,
        |_, b, _| (estimate::reciprocal_root(b), none),
        |a, b, mxcsr| host_sse!("rsqrtss xmm0, xmm1", a, b, mxcsr),
        0xffff_ffff,
    );
}

#[test]
fn formats_are_what_the_manual_says() {
    assert_eq!(EXTENDED.precision, 64);
    assert_eq!(DOUBLE.indefinite(), 0xfff8_0000_0000_0000);
    assert_eq!(SINGLE.indefinite(), 0xffc0_0000);
}
