//! System calls: the table, and what surrounds each call.

mod attributes;
mod clone;
mod context;
mod event;
mod file;
mod futex;
mod identity;
mod io;
mod ioctl;
mod ioprio;
mod locking;
mod locks;
mod memory;
mod misc;
mod mount;
mod names;
mod pid;
mod pidfd;
mod poll;
mod prctl;
mod process_vm;
mod ptrace;
mod scheduling;
mod segments;
mod select;
mod semaphores;
mod signal;
mod signalfd;
mod sigqueue;
mod space;
mod splice;
mod stat;
mod structs;
pub mod table;
mod task;
mod time;
pub mod timer;
mod timerfd;
mod user_io;
mod uts;
mod wait;

use abi::event::{SysEnter, SysExit, SysMissing};

use crate::arch::trap::TrapFrame;
use crate::errno::Errno;
use crate::probe;
use crate::task::ptrace as ptrace_stops;
use crate::task::signal as signals;

pub use table::Call;

/// Does the system call that a frame asks for, and puts its result there.
pub fn handle(frame: &mut TrapFrame) {
    let watched = ptrace_stops::is_watched();
    let nr = if watched {
        ptrace_stops::syscall_enter(frame)
    } else {
        Some(u64::from(frame.rax as u32))
    };
    if let Some(nr) = nr {
        run(nr, frame);
    }
    if watched || ptrace_stops::is_watched() {
        ptrace_stops::syscall_leave();
    }
    if Errno::from_return(frame.rax).is_some_and(Errno::is_restart) {
        // Not left to the way out: somebody else may have taken the signal by
        // then, and the error would be seen.
        signals::deliver(frame);
    }
}

fn run(nr: u64, frame: &mut TrapFrame) {
    let args = [
        frame.rdi, frame.rsi, frame.rdx, frame.r10, frame.r8, frame.r9,
    ];
    probe::emit(&SysEnter {
        nr,
        a0: args[0],
        a1: args[1],
        a2: args[2],
        a3: args[3],
    });
    let mut call = Call { nr, args, frame };
    let result = match table::find(nr) {
        Some(entry) => (entry.handler)(&mut call),
        None => {
            probe::emit(&SysMissing { nr });
            Err(Errno::ENOSYS)
        }
    };
    let value = result.unwrap_or_else(Errno::as_return);
    frame.rax = value;
    probe::emit(&SysExit { nr, ret: value });
}
