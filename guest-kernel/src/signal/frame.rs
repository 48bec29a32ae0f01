//! The frame on the user's stack in which a handler runs, laid out as Linux
//! does it on x86-64.
//!
//! From low to high: the return address (the restorer), `ucontext` with the
//! interrupted registers, `siginfo`, and above them, aligned for XSAVE, the
//! x87, SSE and AVX state.

use linux_raw_sys::general::{SA_NODEFER, SA_ONSTACK, SA_RESTORER, SA_SIGINFO};

use super::altstack::StackT;
use super::fpu_frame;
use super::handlers::SigAction;
use super::info::SigInfo;
use super::number::SigSet;
use super::state::TaskSignals;
use crate::arch::fpu::{self, FpuState};
use crate::arch::gdt::{USER_CS, USER_SS};
use crate::arch::layout::USER_END;
use crate::arch::trap::{
    NO_VECTOR, RFLAGS_DF, RFLAGS_IF, RFLAGS_RF, RFLAGS_TF, RFLAGS_USER, TrapFrame,
};
use crate::errno::{Errno, Result};
use crate::mm::user;
use crate::sched;
use crate::sync::SpinLock;

/// What lies below the stack pointer and belongs to the interrupted function.
const RED_ZONE: u64 = 128;

/// The vector of page faults.
const PAGE_FAULT: u64 = 14;

/// The state is XSAVE's.
const UC_FP_XSTATE: u64 = 1;
/// The frame holds a stack segment, and it is to be used.
const UC_SIGCONTEXT_SS: u64 = 2;
const UC_STRICT_RESTORE_SS: u64 = 4;

/// `struct rt_sigframe`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Frame {
    restorer: u64,
    context: UContext,
}

/// Where `siginfo` lies in the frame, and the frame's end.
const INFO_AT: u64 = size_of::<Frame>() as u64;
const FRAME_SIZE: u64 = INFO_AT + SigInfo::SIZE as u64;

/// Where `ucontext` lies in the frame: the stack pointer of `rt_sigreturn`.
const CONTEXT_AT: u64 = 8;

/// `struct ucontext`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct UContext {
    flags: u64,
    link: u64,
    stack: StackT,
    registers: SigContext,
    mask: SigSet,
}

/// `struct sigcontext_64`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct SigContext {
    r8: u64,
    r9: u64,
    r10: u64,
    r11: u64,
    r12: u64,
    r13: u64,
    r14: u64,
    r15: u64,
    rdi: u64,
    rsi: u64,
    rbp: u64,
    rbx: u64,
    rdx: u64,
    rax: u64,
    rcx: u64,
    rsp: u64,
    rip: u64,
    rflags: u64,
    cs: u16,
    gs: u16,
    fs: u16,
    ss: u16,
    error: u64,
    trap: u64,
    old_mask: u64,
    cr2: u64,
    fpu: u64,
    reserved: [u64; 8],
}

// SAFETY: numbers side by side, without padding.
unsafe impl user::Plain for Frame {}
// SAFETY: numbers side by side, without padding.
unsafe impl user::Plain for UContext {}

const _: () = assert!(size_of::<SigContext>() == 256);
const _: () = assert!(size_of::<UContext>() == 304);
const _: () = assert!(FRAME_SIZE == 440);

impl SigContext {
    fn of(frame: &TrapFrame) -> Self {
        let exception = frame.vector < 32;
        SigContext {
            r8: frame.r8,
            r9: frame.r9,
            r10: frame.r10,
            r11: frame.r11,
            r12: frame.r12,
            r13: frame.r13,
            r14: frame.r14,
            r15: frame.r15,
            rdi: frame.rdi,
            rsi: frame.rsi,
            rbp: frame.rbp,
            rbx: frame.rbx,
            rdx: frame.rdx,
            rax: frame.rax,
            rcx: frame.rcx,
            rsp: frame.rsp,
            rip: frame.rip,
            rflags: frame.rflags,
            cs: frame.cs as u16,
            ss: frame.ss as u16,
            error: if exception { frame.error } else { 0 },
            trap: if exception { frame.vector } else { 0 },
            ..SigContext::default()
        }
    }

    /// The interrupted registers again. What a program may not choose (the
    /// segments, the system's flags) keeps its value.
    fn restore(&self, frame: &mut TrapFrame) {
        *frame = TrapFrame {
            r15: self.r15,
            r14: self.r14,
            r13: self.r13,
            r12: self.r12,
            rbp: self.rbp,
            rbx: self.rbx,
            r11: self.r11,
            r10: self.r10,
            r9: self.r9,
            r8: self.r8,
            rax: self.rax,
            rcx: self.rcx,
            rdx: self.rdx,
            rsi: self.rsi,
            rdi: self.rdi,
            vector: NO_VECTOR,
            error: 0,
            rip: self.rip,
            cs: u64::from(USER_CS),
            rflags: self.rflags & RFLAGS_USER | frame.rflags & !RFLAGS_USER | RFLAGS_IF,
            rsp: self.rsp,
            ss: u64::from(USER_SS),
        };
    }
}

/// Where the parts of the frame go, lowest first.
struct Place {
    frame: u64,
    fpu: u64,
}

/// Finds room below the interrupted stack pointer, or on the alternate stack.
///
/// # Errors
/// EFAULT if a handler that runs on the alternate stack would leave it, or if
/// there is no address left.
fn place(rsp: u64, action: &SigAction, task: &TaskSignals) -> Result<Place> {
    let nested = task.altstack.contains(rsp);
    let mut at = rsp.wrapping_sub(RED_ZONE);
    let mut entering = false;
    if action.has(SA_ONSTACK)
        && let Some(top) = task.altstack.top(rsp)
    {
        at = top;
        entering = true;
    }
    let fpu = at.wrapping_sub(fpu_frame::size() as u64) & !63;
    // After the call that never was, the stack pointer is 8 off 16.
    let frame = (fpu.wrapping_sub(FRAME_SIZE) & !15).wrapping_sub(8);
    let fits = frame < at && at < USER_END;
    if !fits || (nested || entering) && !task.altstack.covers(frame) {
        return Err(Errno::EFAULT);
    }
    Ok(Place { frame, fpu })
}

/// Makes the task go on in a signal's handler.
///
/// # Errors
/// EFAULT if the frame cannot be written: the task has changed nothing, and
/// SIGSEGV is due.
pub fn enter_handler(
    frame: &mut TrapFrame,
    info: &SigInfo,
    action: &SigAction,
    task: &SpinLock<TaskSignals>,
) -> Result<()> {
    // Without a restorer there is no way back, and nowhere is no handler.
    if !action.has(SA_RESTORER) || action.handler >= USER_END {
        return Err(Errno::EFAULT);
    }
    let (place, stack, mask) = {
        let task = task.lock();
        let mask = task.saved.unwrap_or(task.blocked);
        let stack = task.altstack.show(frame.rsp);
        (place(frame.rsp, action, &task)?, stack, mask)
    };
    write_frame(frame, info, action, &place, stack, mask)?;
    start_handler(frame, info, action, &place);

    let mut task = task.lock();
    task.saved = None;
    task.altstack.disarm();
    task.blocked = task.blocked.union(action.mask);
    if !action.has(SA_NODEFER) || crate::mutant!("nodefer-ignored") {
        task.blocked = task.blocked.with(info.signal);
    }
    Ok(())
}

fn write_frame(
    frame: &TrapFrame,
    info: &SigInfo,
    action: &SigAction,
    place: &Place,
    stack: StackT,
    mask: SigSet,
) -> Result<()> {
    let mut registers = SigContext::of(frame);
    registers.fpu = place.fpu;
    registers.old_mask = mask.0;
    if frame.vector == PAGE_FAULT
        && let super::Fields::Fault { address } = info.fields
    {
        registers.cr2 = address;
    }
    let mut flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
    if fpu::has_xsave() {
        flags |= UC_FP_XSTATE;
    }
    let image = Frame {
        restorer: action.restorer,
        context: UContext {
            flags,
            link: 0,
            stack,
            registers,
            mask,
        },
    };
    let state = sched::with_fpu(|fpu| fpu.clone()).ok_or(Errno::EFAULT)?;
    fpu_frame::write(place.fpu, &state)?;
    user::write_value(place.frame, image)?;
    if action.has(SA_SIGINFO) {
        user::write_bytes(place.frame + INFO_AT, &info.to_bytes())?;
    }
    Ok(())
}

fn start_handler(frame: &mut TrapFrame, info: &SigInfo, action: &SigAction, place: &Place) {
    frame.rdi = u64::from(info.signal.number());
    frame.rsi = place.frame + INFO_AT;
    frame.rdx = place.frame + CONTEXT_AT;
    frame.rax = 0;
    frame.rip = action.handler;
    frame.rsp = place.frame;
    frame.cs = u64::from(USER_CS);
    frame.ss = u64::from(USER_SS);
    frame.rflags &= !(RFLAGS_DF | RFLAGS_RF | RFLAGS_TF);
    frame.vector = NO_VECTOR;
    sched::with_fpu(FpuState::reset);
}

/// Makes the task go on where a handler interrupted it: `rt_sigreturn`.
///
/// # Errors
/// EFAULT if the frame cannot be read or leads nowhere: SIGSEGV is due.
pub fn leave_handler(frame: &mut TrapFrame, task: &SpinLock<TaskSignals>) -> Result<()> {
    // The handler's return has taken the restorer off the stack.
    let context: UContext = user::read_value(frame.rsp)?;
    let state = match context.registers.fpu {
        0 => FpuState::new(),
        at => fpu_frame::read(at)?,
    };
    if context.registers.rip >= USER_END {
        return Err(Errno::EFAULT);
    }
    context.registers.restore(frame);
    sched::with_fpu(|fpu| fpu.copy_from(&state));

    let mut task = task.lock();
    if !crate::mutant!("sigreturn-keeps-mask") {
        task.blocked = context.mask.without(SigSet::UNSTOPPABLE);
    }
    // Linux, too, lets a damaged stack_t pass here.
    let _ = task.altstack.change(&context.stack, context.registers.rsp);
    Ok(())
}
