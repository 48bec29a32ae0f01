//! The runtime and the small pthread library of coe's user programs: static
//! Linux ELFs without a C library, which run inside coe and natively alike.
//!
//! - [`sys`]: the system-call instruction and typed wrappers around it.
//! - [`sys_fs`]: files and mounts.
//! - [`start`](mod@start): from the kernel's first stack to [`program!`]'s function.
//! - [`out`]: printing, one `write` for each line.
//! - [`sys_ids`]: ids, capabilities, names of the host, System V semaphores.
//! - [`sys_proc`]: reading /proc.
//! - [`task`]: clone and its relatives, exec, exit, wait.
//! - [`signal`]: handlers, masks, sending.
//! - [`map`]: memory from the kernel.
//! - [`handoff`]: a turn that two tasks hand to each other.
//! - [`sys_costs`], [`sys_rows`]: calls of single programs.
//! - [`pthread`]: threads, mutex, condition variable and thread-local data
//!   over clone and futex.
#![no_std]

pub mod errno;
pub mod handoff;
pub mod map;
mod memory;
pub mod out;
pub mod pthread;
pub mod signal;
pub mod start;
pub mod sys;
pub mod sys_costs;
pub mod sys_disk;
pub mod sys_fs;
pub mod sys_ids;
pub mod sys_pids;
pub mod sys_proc;
pub mod sys_ptrace;
pub mod sys_rows;
pub mod sys_sched;
pub mod sys_signal;
pub mod task;
