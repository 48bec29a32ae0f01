//! What the kernel and the machine agree on, defined once.
//!
//! - [`event`]: the vocabulary of events, named after Linux's tracepoints.
//! - [`choice`]: the door through which every open choice of the kernel goes.
//! - [`probe`]: the port that carries both, and the registers of its arguments.
//! - [`exit`]: what the value written to the debug-exit port means.
//! - [`boot`]: the kernel command line's keys and the files that `init` reads.
//!
//! The crate has no dependencies: it is compiled into the kernel, the user
//! programs and the host's laboratory alike.
#![no_std]

pub mod boot;
pub mod choice;
pub mod event;
pub mod exit;
pub mod probe;
