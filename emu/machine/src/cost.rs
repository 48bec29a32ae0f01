//! What everything costs, in cycles: one table, part of the contract.
//!
//! An instruction costs its own class, plus an extra for each memory access,
//! TLB miss, walk step and lock that it needed. A changed number is a new
//! [`VERSION`], because exact goldens and traces name theirs.

use serde::{Deserialize, Serialize};

/// Version of the numbers in this file.
pub const VERSION: u32 = 1;

/// Which table of costs the machine uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CostModel {
    /// The numbers of this file.
    #[default]
    Standard,
    /// Each instruction (and each iteration of a REP) is one cycle and nothing
    /// else costs.
    Unit,
}

/// Declares [`Class`] with its standard cost, and whether it is an extra on top
/// of an instruction (which costs nothing in [`CostModel::Unit`]).
macro_rules! classes {
    ($($(#[$meta:meta])* $name:ident = $cycles:literal $kind:ident,)*) => {
        /// A class of work that costs the same each time.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum Class { $($(#[$meta])* $name,)* }

        impl Class {
            /// Every class, in the order of the table.
            pub const ALL: &'static [Class] = &[$(Class::$name,)*];
        }

        const STANDARD: [u8; Class::ALL.len()] = [$($cycles,)*];
        const UNIT: [u8; Class::ALL.len()] = [$(classes!(@unit $kind),)*];
    };
    (@unit instruction) => { 1 };
    (@unit extra) => { 0 };
}

classes! {
    /// Moves, arithmetic, logic, shifts, flags: one cycle in any ALU.
    Simple = 1 instruction,
    /// Multiplication of general-purpose registers.
    Mul = 3 instruction,
    /// Division of general-purpose registers.
    Div = 20 instruction,
    /// Jumps, calls and returns, taken or not.
    Branch = 1 instruction,
    /// One iteration of a string instruction, with or without REP.
    StringIteration = 1 instruction,
    /// Extra: one access that reads memory.
    Load = 1 extra,
    /// Extra: one access that writes memory.
    Store = 1 extra,
    /// Extra: a translation that the TLB did not have.
    TlbMiss = 6 extra,
    /// Extra: one table entry read by a page walk.
    WalkStep = 6 extra,
    /// Extra: delivery of an exception or a software interrupt.
    Exception = 60 extra,
    /// Extra: delivery of a hardware interrupt.
    Interrupt = 80 extra,
    /// IRET.
    Iret = 40 instruction,
    /// SYSCALL.
    Syscall = 25 instruction,
    /// SYSRET.
    Sysret = 25 instruction,
    /// IN and OUT.
    PortIo = 40 instruction,
    /// Extra: an access to a device's memory.
    Mmio = 40 extra,
    /// Writes to control registers, descriptor-table and segment loads.
    CrWrite = 30 instruction,
    /// RDMSR, WRMSR, RDPMC, RDTSC and their kin.
    Msr = 30 instruction,
    /// CPUID.
    Cpuid = 60 instruction,
    /// INVLPG.
    Invlpg = 60 instruction,
    /// SSE moves, logic, integer and additions.
    SseSimple = 1 instruction,
    /// SSE multiplications and conversions.
    SseMul = 3 instruction,
    /// SSE divisions.
    SseDiv = 12 instruction,
    /// SSE square roots.
    SseSqrt = 16 instruction,
    /// x87 loads, stores, additions and multiplications.
    X87Simple = 3 instruction,
    /// x87 divisions and square roots.
    X87Div = 20 instruction,
    /// x87 transcendental functions.
    X87Transcendental = 80 instruction,
    /// Extra: an atomic access with the bus locked.
    Locked = 15 extra,
}

impl CostModel {
    /// The cycles that this class costs.
    #[inline]
    #[must_use]
    pub const fn cycles(self, class: Class) -> u64 {
        let table = match self {
            CostModel::Standard => &STANDARD,
            CostModel::Unit => &UNIT,
        };
        table[class as usize] as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_charges_instructions_only() {
        let unit = |class| CostModel::Unit.cycles(class);
        assert_eq!((unit(Class::Div), unit(Class::Iret)), (1, 1));
        assert_eq!((unit(Class::Load), unit(Class::Interrupt)), (0, 0));
    }

    /// An exact golden names the version: whoever changes a number meets this.
    #[test]
    fn numbers_belong_to_their_version() {
        let sum = |model: CostModel| -> u64 {
            (Class::ALL.iter().enumerate())
                .map(|(i, &c)| (i as u64 + 1) * model.cycles(c))
                .sum()
        };
        assert_eq!((VERSION, sum(CostModel::Standard)), (1, 11_378));
        assert_eq!(sum(CostModel::Unit), 311);
    }
}
