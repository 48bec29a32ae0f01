//! The compiler for hot code.
//!
//! Regions of blocks that are executed often become functions of the host,
//! through Cranelift; all else is left to the engines below. Compiled code does
//! what the reference interpreter does, to the last bit and cycle, or it leaves
//! at the boundary before: see ARCHITECTURE.md, "Engines".

mod code;
mod compile;
mod emit;
mod engine;
mod heat;
mod lazy;
mod memory;
mod places;
mod plan;
mod region;
mod state;
mod survey;

pub use engine::Jit;
