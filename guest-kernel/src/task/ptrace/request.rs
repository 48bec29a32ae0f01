//! The tracer's side: what it may ask of a task that is stopped for it.

use alloc::sync::Arc;

use linux_raw_sys::ptrace as linux;

use super::super::signal::{recalculate, send};
use super::super::{Task, current};
use super::registers::{USER_REGISTERS, UserRegisters};
use super::{FLAG_STEP, FLAG_SYSCALLS, OPTIONS, State, release};
use crate::arch::fpu::FpuState;
use crate::arch::trap::{RFLAGS_TF, TrapFrame, user_frame};
use crate::errno::{Errno, Result};
use crate::mm::Mm;
use crate::sched;
use crate::signal::{SigInfo, SigSet, Signal};

/// Bytes of `struct user`, and where the debug registers lie in it.
const USER_SIZE: u64 = 912;
const DEBUG_REGISTERS: u64 = 848;

/// A task that the running one traces.
pub struct Tracee(Arc<Task>);

/// The task with this number, if the caller traces it; `running` takes one
/// that is not stopped as well.
///
/// # Errors
/// `ESRCH`.
pub fn find(number: u32, running: bool) -> Result<Tracee> {
    let task = super::super::find(number).ok_or(Errno::ESRCH)?;
    if !task.trace().is_traced_by(&current()) {
        return Err(Errno::ESRCH);
    }
    let tracee = Tracee(task);
    if !running {
        tracee.stopped(|_| ())?;
    }
    Ok(tracee)
}

impl Tracee {
    /// Works on the state of a task that is stopped, and stays so meanwhile.
    fn stopped<R>(&self, work: impl FnOnce(&mut State) -> R) -> Result<R> {
        let mut state = self.0.trace().state.lock();
        match &state.stop {
            Some(stop) if !stop.listening => Ok(work(&mut state)),
            _ => Err(Errno::ESRCH),
        }
    }

    fn with_frame<R>(&self, work: impl FnOnce(&mut TrapFrame, &State) -> R) -> Result<R> {
        self.stopped(|state| {
            // SAFETY: the task is stopped in the kernel and stays so under the
            // lock, so its frame is complete and only this writes it.
            work(unsafe { &mut *user_frame(self.0.stack_top()) }, state)
        })
    }

    /// Its registers.
    ///
    /// # Errors
    /// `ESRCH` if it goes on meanwhile, as all of these.
    pub fn registers(&self) -> Result<UserRegisters> {
        let bases = sched::bases_of(self.0.id()).ok_or(Errno::ESRCH)?;
        self.with_frame(|frame, state| UserRegisters::of(frame, bases, state.stepping))
    }

    /// Sets its registers.
    ///
    /// # Errors
    /// `EIO` for values that user mode cannot have.
    pub fn set_registers(&self, registers: &UserRegisters) -> Result<()> {
        if crate::mutant!("setregs-forgotten") {
            return Ok(());
        }
        self.with_frame(|frame, _| registers.put(frame))??;
        sched::set_bases_of(self.0.id(), registers.fs_base, registers.gs_base);
        Ok(())
    }

    /// Its x87 and SSE registers.
    ///
    /// # Errors
    /// `ESRCH`.
    pub fn fpu(&self) -> Result<FpuState> {
        sched::with_fpu_of(self.0.id(), |fpu| fpu.clone()).ok_or(Errno::ESRCH)
    }

    /// Sets its x87 and SSE registers.
    ///
    /// # Errors
    /// `ESRCH`.
    pub fn set_fpu(&self, mut state: FpuState) -> Result<()> {
        state.sanitize();
        sched::with_fpu_of(self.0.id(), |fpu| fpu.copy_from(&state)).ok_or(Errno::ESRCH)
    }

    /// A word of `struct user`: the registers, and behind them what is not
    /// known and reads as zero.
    ///
    /// # Errors
    /// `EIO` outside.
    pub fn peek_user(&self, at: u64) -> Result<u64> {
        if !at.is_multiple_of(8) || at >= USER_SIZE {
            return Err(Errno::EIO);
        }
        let index = (at / 8) as usize;
        if index >= USER_REGISTERS {
            return Ok(0);
        }
        Ok(self.registers()?.get(index))
    }

    /// Sets a word of `struct user`. There are no debug registers to set.
    ///
    /// # Errors
    /// `EIO` for anything but a register; `EINVAL` for a debug register.
    pub fn poke_user(&self, at: u64, value: u64) -> Result<()> {
        if !at.is_multiple_of(8) || at >= USER_SIZE {
            return Err(Errno::EIO);
        }
        if at >= DEBUG_REGISTERS {
            return if value == 0 {
                Ok(())
            } else {
                Err(Errno::EINVAL)
            };
        }
        if at / 8 >= USER_REGISTERS as u64 {
            return Err(Errno::EIO);
        }
        let registers = self.registers()?;
        self.set_registers(&registers.with_bytes(at as usize, &value.to_le_bytes()))
    }

    /// Its memory.
    ///
    /// # Errors
    /// `EIO` if it has none any more.
    pub fn memory(&self) -> Result<Arc<Mm>> {
        self.0.mm().ok_or(Errno::EIO)
    }

    /// What came with the signal that it stopped for.
    ///
    /// # Errors
    /// `EINVAL` if its group has stopped.
    pub fn info(&self) -> Result<SigInfo> {
        let info = self.stopped(|state| state.stop.as_ref().and_then(|stop| stop.info))?;
        info.ok_or(Errno::EINVAL)
    }

    /// Sets what comes with the signal that it goes on with.
    ///
    /// # Errors
    /// `EINVAL` if its group has stopped.
    pub fn set_info(&self, info: SigInfo) -> Result<()> {
        self.stopped(|state| {
            let known = state.stop.as_mut().and_then(|stop| stop.info.as_mut());
            known.map(|known| *known = info).ok_or(Errno::EINVAL)
        })?
    }

    /// What an event is about.
    ///
    /// # Errors
    /// `ESRCH`.
    pub fn message(&self) -> Result<u64> {
        self.stopped(|state| state.message)
    }

    /// Sets PTRACE_O_*.
    ///
    /// # Errors
    /// `EINVAL` for unknown ones.
    pub fn set_options(&self, options: u64) -> Result<()> {
        if options & !u64::from(OPTIONS) != 0 {
            return Err(Errno::EINVAL);
        }
        self.stopped(|state| state.options = options as u32)
    }

    /// What it blocks.
    #[must_use]
    pub fn mask(&self) -> SigSet {
        let signals = self.0.signals.lock();
        signals.saved.unwrap_or(signals.blocked)
    }

    /// Sets what it blocks.
    pub fn set_mask(&self, mask: SigSet) {
        let mask = mask.without(SigSet::UNSTOPPABLE);
        let mut signals = self.0.signals.lock();
        signals.saved = None;
        signals.blocked = mask;
        drop(signals);
        recalculate(&self.0);
    }

    /// Lets it go on, with a signal or 0, until the next stop.
    ///
    /// # Errors
    /// `EIO` if there is no such signal.
    pub fn go_on(&self, signal: u64, until: Until) -> Result<()> {
        let signal = checked(signal)?;
        let flags = match until {
            Until::Stop => 0,
            Until::Syscall => FLAG_SYSCALLS,
            Until::Instruction => FLAG_STEP,
        };
        if until == Until::Instruction {
            self.start_step()?;
        }
        self.stopped(|state| {
            self.0.trace().set_resume_flags(flags);
            let stop = state.stop.take();
            state.resume = (signal, stop.and_then(|stop| stop.info));
        })?;
        sched::wake_traced(self.0.id());
        Ok(())
    }

    fn start_step(&self) -> Result<()> {
        let own = self.with_frame(|frame, _| {
            let own = frame.rflags & RFLAGS_TF != 0;
            frame.rflags |= RFLAGS_TF;
            own
        })?;
        self.stopped(|state| state.stepping = !own)
    }

    /// Lets it go for good, with a signal or 0.
    ///
    /// # Errors
    /// `EIO` if there is no such signal.
    pub fn detach(&self, signal: u64) -> Result<()> {
        let signal = checked(signal)?;
        self.stopped(|_| ())?;
        release(&self.0, signal);
        Ok(())
    }

    /// Kills it.
    pub fn kill(&self) {
        send(&self.0, false, SigInfo::kernel(Signal::SIGKILL));
    }

    /// Stops it without a signal.
    ///
    /// # Errors
    /// `EIO` unless it was seized.
    pub fn interrupt(&self) -> Result<()> {
        let listening = {
            let mut state = self.0.trace().state.lock();
            if !state.seized {
                return Err(Errno::EIO);
            }
            let listens = state.stop.as_ref().is_some_and(|stop| stop.listening);
            if listens {
                state.stop = None;
            }
            listens
        };
        self.0.signals.lock().trap = true;
        recalculate(&self.0);
        if listening {
            sched::wake_traced(self.0.id());
        }
        Ok(())
    }

    /// Leaves it stopped with its group, until the group goes on.
    ///
    /// # Errors
    /// `EIO` unless it was seized and its stop is its group's.
    pub fn listen(&self) -> Result<()> {
        self.stopped(|state| {
            let seized = state.seized;
            let stop = state.stop.as_mut().filter(|_| seized).ok_or(Errno::EIO)?;
            if stop.code >> 8 != linux::PTRACE_EVENT_STOP {
                return Err(Errno::EIO);
            }
            stop.listening = true;
            Ok(())
        })??;
        // It may have gone on already.
        let trap = self.0.signals.lock().trap;
        if trap {
            self.0.trace().state.lock().stop = None;
            sched::wake_traced(self.0.id());
        }
        Ok(())
    }
}

/// Until when a task goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The next stop, whatever it is.
    Stop,
    /// The next system call's beginning or end.
    Syscall,
    /// The next instruction.
    Instruction,
}

fn checked(signal: u64) -> Result<u32> {
    if signal > Signal::MAX as u64 {
        return Err(Errno::EIO);
    }
    Ok(signal as u32)
}
