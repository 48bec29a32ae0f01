//! Checkpoints: a machine between two instructions, kept in memory to go back to.
//!
//! Where a snapshot ([`Machine::save`](crate::Machine::save)) is bytes that outlive
//! the program, a checkpoint shares pages with the machines that hold the same: what
//! taking it and going back to it cost grows with the pages that were written in
//! between, not with the memory.

use alloc::collections::VecDeque;
use core::fmt;

use abi::choice::ChoiceKind;

use super::{Config, Machine, Queued, Stop};
use crate::bus::{Bus, Moment};
use crate::cpu::Cpu;
use crate::engine::Slot;
use crate::mmu::{Mmu, Tlb};

/// What [`Machine::checkpoint`](crate::Machine::checkpoint) keeps. It may be sent to
/// other threads, and any number of machines may go on from it.
#[derive(Clone)]
pub struct Checkpoint {
    config: Config,
    cpu: Cpu,
    tlb: Tlb,
    bus: Moment,
    queue: VecDeque<Queued>,
    choices: [u64; ChoiceKind::ALL.len()],
    stopped: Option<Stop>,
}

impl Checkpoint {
    /// The cycle at which it was taken.
    #[must_use]
    pub fn cycle(&self) -> u64 {
        self.cpu.cycle
    }

    /// Another machine that stands there, with the reference interpreter.
    #[must_use]
    pub fn machine(&self) -> Machine {
        let mut machine = Machine {
            config: self.config.clone(),
            cpu: self.cpu.clone(),
            mmu: Mmu::default(),
            bus: Bus::new(self.config.memory, self.config.epoch),
            queue: VecDeque::new(),
            choices: self.choices,
            stopped: None,
            engine: Slot::default(),
        };
        machine.rewind(self);
        machine
    }
}

impl Machine {
    /// Keeps where the machine stands. The cost grows with the pages that were
    /// written since the last checkpoint was taken or gone back to.
    pub fn checkpoint(&mut self) -> Checkpoint {
        Checkpoint {
            config: self.config.clone(),
            cpu: self.cpu.clone(),
            tlb: self.mmu.moment(),
            bus: self.bus.moment(),
            queue: self.queue.clone(),
            choices: self.choices,
            stopped: self.stopped.clone(),
        }
    }

    /// Goes to where this machine, or another one, stood. It keeps its engine. The
    /// cost grows with the pages that were written since the last checkpoint, and
    /// with those in which the two checkpoints differ; with all of them if the
    /// machines never had one in common.
    ///
    /// ```
    /// # fn branches(mut machine: machine::Machine, host: &mut dyn machine::Host) {
    /// let fork = machine.checkpoint();
    /// machine.run(fork.cycle() + 1_000, host);
    /// let one = machine.digest();
    /// machine.rewind(&fork);
    /// machine.run(fork.cycle() + 1_000, host);
    /// assert_eq!(machine.digest(), one);
    /// # }
    /// ```
    pub fn rewind(&mut self, to: &Checkpoint) {
        if self.config.memory != to.config.memory {
            let engine = self.engine.clone();
            *self = to.machine();
            self.engine = engine;
            return;
        }
        if self.config != to.config {
            self.config.clone_from(&to.config);
            // What was decoded for another CPU is not for this one.
            self.engine = self.engine.clone();
        }
        self.cpu.clone_from(&to.cpu);
        self.mmu.rewind(&to.tlb);
        self.bus.rewind(&to.bus);
        self.queue.clone_from(&to.queue);
        self.choices = to.choices;
        self.stopped.clone_from(&to.stopped);
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoint")
            .field("cycle", &self.cycle())
            .finish_non_exhaustive()
    }
}
