//! The x87 between its registers: a line an instruction, with what is ours beside what the host
//! runs.

use machine::cpu::fp::{F80, Flags, Relation, x87};

use crate::host::host_x87;
use crate::random::{Random, fcw, pairs};
use crate::{C1, EXCEPTIONS, ROUNDS, rflags_of, status_of};

/// Status bits of a remainder: the quotient's lowest three, and whether it is only a part.
const QUOTIENT: u16 = 0x4700;

#[track_caller]
fn judge(
    name: &str,
    status_mask: u16,
    ours: impl Fn(F80, F80, x87::Control) -> (F80, u16),
    theirs: impl Fn(F80, F80, u16) -> (F80, u16),
) {
    let mut random = Random(name.len() as u64 * 1000);
    for _ in 0..ROUNDS {
        let (a, b) = pairs(&mut random);
        let fcw = fcw(&mut random);
        let (want, want_status) = theirs(a, b, fcw);
        let (got, got_status) = ours(a, b, x87::Control::from_fcw(fcw));
        assert_eq!(
            (got, got_status & status_mask),
            (want, want_status & status_mask),
            "{name} {a:x?} {b:x?} fcw {fcw:#x}: got {got:x?} {got_status:#x}, host {want:x?} \
             {want_status:#x}",
        );
    }
}

/// Name, the bits of the status word that count, the host's code, and ours.
macro_rules! table {
    ($($name:ident $status:expr, $text:literal $ours:expr;)*) => { $(
        #[test]
        fn $name() {
            judge(
                stringify!($name),
                EXCEPTIONS | $status,
                $ours,
                |a, b, fcw| host_x87!($text, a, b, fcw),
            );
        }
    )* };
}

table! {
    fadd C1, "fadd st(0), st(1)" |a, b, c| result(x87::add(a, b, c));
    fsub C1, "fsub st(0), st(1)" |a, b, c| result(x87::sub(a, b, c));
    fmul C1, "fmul st(0), st(1)" |a, b, c| result(x87::mul(a, b, c));
    fdiv C1, "fdiv st(0), st(1)" |a, b, c| result(x87::div(a, b, c));
    fsqrt C1, "fsqrt" |a, _, c| result(x87::sqrt(a, c));
    frndint C1, "frndint" |a, _, c| result(x87::round_to_whole(a, c));
    fscale C1, "fscale" |a, b, c| result(x87::scale(a, b, c));
    fxtract C1, "fxtract" |a, _, _| result(x87::extract(a).1);
    fprem QUOTIENT, "fprem" |a, b, c| remainder(x87::remainder(a, b, false, c));
    fprem1 QUOTIENT, "fprem1" |a, b, c| remainder(x87::remainder(a, b, true, c));
    fcomi 0, "fcomi st, st(1)
        pushfq
        and qword ptr [rsp], 0x45
        fstp st(0)
        fild qword ptr [rsp]
        add rsp, 8" |a, b, _| rflags(x87::compare(a, b, false));
    fucomi 0, "fucomi st, st(1)
        pushfq
        and qword ptr [rsp], 0x45
        fstp st(0)
        fild qword ptr [rsp]
        add rsp, 8" |a, b, _| rflags(x87::compare(a, b, true));
}

fn result(outcome: x87::Outcome<F80>) -> (F80, u16) {
    (outcome.value, status_of(outcome.flags, outcome.up))
}

/// The flags as a number in st(0).
fn rflags((relation, flags): (Relation, Flags)) -> (F80, u16) {
    let value = x87::from_int(rflags_of(relation) as i64);
    (value, status_of(flags, false))
}

fn remainder((outcome, step): (x87::Outcome<F80>, x87::Step)) -> (F80, u16) {
    let bits = match step {
        x87::Step::None => 0,
        x87::Step::Partial => 1 << 10,
        x87::Step::Whole(q) => {
            let q = u16::from(q);
            (q & 1) << 9 | (q >> 1 & 1) << 14 | (q >> 2 & 1) << 8
        }
    };
    (outcome.value, u16::from(outcome.flags.bits()) | bits)
}
