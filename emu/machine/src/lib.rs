//! The computer: a deterministic x86_64 machine without files, clock, threads,
//! environment or printing.
//!
//! The machine after cycle N is a function of its [`Config`], its [`Images`] and
//! the inputs pushed into it, and of nothing else. All that it knows is in one
//! value, [`Machine`], which can be cloned, saved, restored, hashed and compared
//! at any instruction boundary.
//!
//! What leaves the machine goes through a [`Host`]; nothing that a host does,
//! except its answers to [`Choice`]s, changes a guest cycle.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod addr;
pub mod bus;
pub mod cost;
pub mod cpu;
pub mod devices;
mod digest;
pub mod engine;
pub mod event;
mod loader;
mod machine;
pub mod mmu;
mod snapshot;

pub use cost::CostModel;
pub use cpu::{Cpu, CpuModel};
pub use digest::Digest;
pub use engine::Engine;
pub use event::{Choice, Event, Host, Input, InputError, Missing, Payload, Position};
pub use loader::{Images, LoadError};
pub use machine::{Checkpoint, Config, Machine, Stop, Unmapped};
pub use snapshot::{RestoreError, Saved};
