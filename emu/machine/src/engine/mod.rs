//! What carries out instructions: the reference interpreter, and the interface
//! behind which faster engines stand.
//!
//! An engine computes what the reference interpreter computes, to the last bit
//! and cycle. The way to be sure of that is to be fast only where nothing
//! unusual happens, and to leave all else to [`Reference`], one instruction at
//! a time: whatever misses the TLB, faults, reaches a device or changes what
//! code runs. See ARCHITECTURE.md, "Engines".

pub mod block;

use alloc::boxed::Box;
use core::fmt;

use crate::cpu::{CodeCache, Cx, Halt};

/// Carries out instructions. What an engine keeps is the host's business:
/// dropping it at any boundary changes nothing in the machine.
pub trait Engine: fmt::Debug + Send + Sync {
    /// What it is called on the command line.
    fn name(&self) -> &'static str;

    /// A new engine of the same kind, which has seen nothing yet.
    fn fresh(&self) -> Box<dyn Engine>;

    /// Runs instructions until the cycle counter has reached [`Cx::deadline`],
    /// a device wants attention, or the CPU halts; at least to the next
    /// boundary if the deadline lies ahead.
    ///
    /// # Errors
    /// If the CPU cannot go on; it then stands at the instruction.
    fn run(&mut self, cx: &mut Cx<'_>) -> Result<(), Halt>;

    /// Goes to the next boundary: see [`Cx::step`].
    ///
    /// # Errors
    /// As [`Engine::run`].
    fn step(&mut self, cx: &mut Cx<'_>) -> Result<(), Halt>;
}

/// The reference interpreter: one instruction at a time, as the manual says.
#[derive(Debug, Default)]
pub struct Reference {
    code: CodeCache,
}

impl Engine for Reference {
    fn name(&self) -> &'static str {
        "reference"
    }

    fn fresh(&self) -> Box<dyn Engine> {
        Box::new(Reference::default())
    }

    fn run(&mut self, cx: &mut Cx<'_>) -> Result<(), Halt> {
        while cx.cpu.cycle < cx.deadline {
            cx.step(&mut self.code)?;
            if cx.wants_attention() {
                break;
            }
        }
        Ok(())
    }

    fn step(&mut self, cx: &mut Cx<'_>) -> Result<(), Halt> {
        cx.step(&mut self.code)
    }
}

/// The engine of a machine, which a copy of the machine does not share.
pub(crate) struct Slot(pub(crate) Box<dyn Engine>);

impl Default for Slot {
    fn default() -> Self {
        Slot(Box::new(Reference::default()))
    }
}

impl Clone for Slot {
    fn clone(&self) -> Self {
        Slot(self.0.fresh())
    }
}
