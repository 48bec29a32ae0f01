//! System calls that a signal cut short: they fail with EINTR or start again.

use linux_raw_sys::general::{__NR_restart_syscall, SA_RESTART};

use super::handlers::SigAction;
use crate::arch::trap::{NO_VECTOR, SYSCALL_VECTOR, TrapFrame};
use crate::errno::Errno;
use crate::sched::{Deadline, Time};

/// How a call that was cut short goes on when no handler ran.
#[derive(Clone, Copy, Debug, Default)]
pub enum Restart {
    /// Not at all.
    #[default]
    None,
    /// A sleep, until the same moment.
    Sleep {
        /// When it ends.
        deadline: Time,
        /// Where the rest is written if it is cut short again.
        remainder: u64,
    },
    /// A poll, until the same moment.
    Poll {
        /// Where the descriptors are listed.
        address: u64,
        /// How many.
        count: u64,
        /// When it ends.
        deadline: Time,
    },
    /// A wait for a futex, until the same moment.
    Futex {
        /// The word.
        address: u64,
        /// Whether nobody else's memory has it.
        private: bool,
        /// What it must hold.
        value: u32,
        /// By which wakers it may be woken.
        bitset: u32,
        /// When it ends.
        deadline: Deadline,
    },
}

/// Bytes of the SYSCALL instruction.
const SYSCALL_LENGTH: u64 = 2;

/// A handler is about to run.
pub fn for_handler(frame: &mut TrapFrame, action: &SigAction) {
    let Some(error) = interrupted(frame) else {
        return;
    };
    match error {
        Errno::ERESTARTSYS if action.has(SA_RESTART) || crate::mutant!("restart-always") => {
            again(frame, frame.error);
        }
        Errno::ERESTARTNOINTR => again(frame, frame.error),
        _ => frame.rax = Errno::EINTR.as_return(),
    }
}

/// No handler runs: whatever woke the task, the call goes on.
pub fn without_handler(frame: &mut TrapFrame) {
    match interrupted(frame) {
        None => {}
        Some(Errno::ERESTART_RESTARTBLOCK) if crate::mutant!("restartblock-eintr") => {
            frame.rax = Errno::EINTR.as_return();
        }
        Some(Errno::ERESTART_RESTARTBLOCK) => again(frame, u64::from(__NR_restart_syscall)),
        Some(_) => again(frame, frame.error),
    }
}

/// The error with which a system call asks for a restart. It is asked once.
fn interrupted(frame: &mut TrapFrame) -> Option<Errno> {
    if frame.vector != SYSCALL_VECTOR {
        return None;
    }
    frame.vector = NO_VECTOR;
    Errno::from_return(frame.rax).filter(|error| error.is_restart())
}

fn again(frame: &mut TrapFrame, number: u64) {
    frame.rax = number;
    frame.rip -= SYSCALL_LENGTH;
}
