//! Exceptions: pages to bring in, signals to send, and the kernel's own bugs.

use abi::event::{FaultKind, PageFault};

use super::{current, exit, signal};
use crate::arch::fpu::FpuState;
use crate::arch::trap::TrapFrame;
use crate::mm::fault::{Access, Refusal};
use crate::probe;
use crate::sched;
use crate::signal::{SigInfo, Signal, code};

const DIVIDE: u64 = 0;
const DEBUG: u64 = 1;
const BREAKPOINT: u64 = 3;
const INVALID_OPCODE: u64 = 6;
const STACK_FAULT: u64 = 12;
const PAGE_FAULT: u64 = 14;
const X87: u64 = 16;
const ALIGNMENT: u64 = 17;
const SIMD: u64 = 19;

/// Deals with an exception; `address` is CR2.
pub fn handle(frame: &mut TrapFrame, address: u64) {
    assert!(
        frame.is_from_user(),
        "exception {} in the kernel at {:#x}, error {:#x}, address {address:#x}",
        frame.vector,
        frame.rip,
        frame.error
    );
    let info = match frame.vector {
        PAGE_FAULT => match page_fault(frame, address) {
            Some(info) => info,
            None => return,
        },
        DIVIDE => SigInfo::fault(Signal::SIGFPE, code::FPE_INTDIV, frame.rip),
        DEBUG => SigInfo::fault(Signal::SIGTRAP, code::TRAP_TRACE, frame.rip),
        BREAKPOINT => SigInfo::kernel(Signal::SIGTRAP),
        INVALID_OPCODE => SigInfo::fault(Signal::SIGILL, code::ILL_ILLOPN, frame.rip),
        STACK_FAULT => SigInfo::kernel(Signal::SIGBUS),
        X87 => float(frame, x87_errors),
        SIMD => float(frame, simd_errors),
        ALIGNMENT => SigInfo::fault(Signal::SIGBUS, code::BUS_ADRALN, 0),
        _ => SigInfo::kernel(Signal::SIGSEGV),
    };
    signal::force(info);
}

fn page_fault(frame: &TrapFrame, address: u64) -> Option<SigInfo> {
    let access = Access::from_error(frame.error);
    current().account().clock.count_fault();
    let outcome = match current().mm() {
        Some(mm) => mm.fault(address, access),
        None => Err(Refusal::Unmapped),
    };
    probe::emit(&PageFault {
        kind: outcome.unwrap_or(FaultKind::Bad).into(),
        address,
        ip: frame.rip,
        error: frame.error,
    });
    let info = match outcome {
        Ok(_) => return None,
        Err(Refusal::Unmapped) => SigInfo::fault(Signal::SIGSEGV, code::SEGV_MAPERR, address),
        Err(Refusal::Forbidden) => SigInfo::fault(Signal::SIGSEGV, code::SEGV_ACCERR, address),
        Err(Refusal::BehindEnd) => SigInfo::fault(Signal::SIGBUS, code::BUS_ADRERR, address),
        Err(Refusal::NoMemory) => {
            // Nobody can be asked to give memory back: the task that wants it goes.
            exit::end_group(&current(), i32::from(Signal::SIGKILL.number()));
            return None;
        }
    };
    Some(info)
}

/// The exceptions that x87 has raised and does not mask.
fn x87_errors(fpu: &FpuState) -> u32 {
    let control = u32::from(fpu.bytes()[0]);
    let status = u32::from(fpu.bytes()[2]);
    status & !control
}

/// The exceptions that SSE has raised and does not mask.
fn simd_errors(fpu: &FpuState) -> u32 {
    let mxcsr = u32::from(fpu.bytes()[24]) | u32::from(fpu.bytes()[25]) << 8;
    mxcsr & !(mxcsr >> 7)
}

fn float(frame: &TrapFrame, errors: fn(&FpuState) -> u32) -> SigInfo {
    let errors = sched::with_fpu(|fpu| errors(fpu)).unwrap_or(0);
    let code = match errors {
        bits if bits & 0x01 != 0 => code::FPE_FLTINV,
        bits if bits & 0x04 != 0 => code::FPE_FLTDIV,
        bits if bits & 0x08 != 0 => code::FPE_FLTOVF,
        bits if bits & 0x12 != 0 => code::FPE_FLTUND,
        bits if bits & 0x20 != 0 => code::FPE_FLTRES,
        _ => code::SI_KERNEL,
    };
    SigInfo::fault(Signal::SIGFPE, code, frame.rip)
}
