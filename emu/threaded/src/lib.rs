//! The threaded-code interpreter: blocks of decoded instructions, each an operation that leads to
//! the next by a jump of its own.
//!
//! It computes what the reference interpreter computes, to the last bit and cycle, by leaving to it
//! whatever is unusual: an operation does all that its instruction does, or nothing, and then one
//! step of the reference interpreter takes its place. Cycles are prepaid a block at a time; flags
//! wait as two words until somebody looks.
#![no_std]

extern crate alloc;

mod body;
mod cache;
mod control;
mod dead;
mod dispatch;
mod engine;
mod env;
mod flags;
mod jumps;
mod memory;
mod op;
mod operand;
mod pair;
mod pieces;
mod places;
mod select;
mod select_vector;
mod strings;
mod translate;

pub use engine::Threaded;
