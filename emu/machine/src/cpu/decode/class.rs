//! What an instruction costs to issue.

use crate::cost::Class;
use crate::cpu::insn::{Family, Op};

/// Its class in the table of costs.
pub(super) fn class(op: Op) -> Class {
    match op.family() {
        Family::MulDiv if matches!(op, Op::Div | Op::Idiv) => Class::Div,
        Family::MulDiv => Class::Mul,
        Family::Bmi if matches!(op, Op::Mulx | Op::Pdep | Op::Pext) => Class::Mul,
        Family::Random => Class::Msr,
        Family::Control => control_class(op),
        Family::String => Class::StringIteration,
        Family::Io => Class::PortIo,
        Family::System => system_class(op),
        Family::Xsave => match op {
            Op::Xgetbv => Class::Simple,
            Op::Xsetbv => Class::CrWrite,
            _ => Class::X87Simple,
        },
        Family::SseAes | Family::SseClmul | Family::SseSha => Class::SseMul,
        family if family.is_vector() => sse_class(op.name()),
        Family::X87 | Family::X87Move | Family::X87Control => x87_class(op.name()),
        _ => Class::Simple,
    }
}

fn control_class(op: Op) -> Class {
    match op {
        Op::Iret => Class::Iret,
        Op::Syscall => Class::Syscall,
        Op::Sysret => Class::Sysret,
        _ => Class::Branch,
    }
}

fn system_class(op: Op) -> Class {
    match op {
        Op::Cpuid => Class::Cpuid,
        Op::Invlpg | Op::Invpcid => Class::Invlpg,
        Op::Rdmsr | Op::Wrmsr | Op::Rdtsc | Op::Rdtscp | Op::Rdpmc => Class::Msr,
        Op::Hlt | Op::Swapgs | Op::Str | Op::Sldt | Op::Sgdt | Op::Sidt | Op::Smsw => Class::Simple,
        _ => Class::CrWrite,
    }
}

fn sse_class(name: &str) -> Class {
    let is = |part: &str| name.contains(part);
    match () {
        () if is("Sqrt") => Class::SseSqrt,
        () if is("Div") => Class::SseDiv,
        () if is("Mul")
            || is("mul")
            || is("Cvt")
            || is("cvt")
            || is("Vf")
            || is("Pmadd")
            || is("Dpp") =>
        {
            Class::SseMul
        }
        () => Class::SseSimple,
    }
}

fn x87_class(name: &str) -> Class {
    match name {
        "F2xm1" | "Fcos" | "Fpatan" | "Fptan" | "Fsin" | "Fsincos" | "Fyl2x" | "Fyl2xp1" => {
            Class::X87Transcendental
        }
        "Fsqrt" | "Fprem" | "Fprem1" => Class::X87Div,
        name if name.contains("div") => Class::X87Div,
        _ => Class::X87Simple,
    }
}
