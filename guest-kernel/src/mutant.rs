//! Deliberate faults. A test builds this kernel with the feature `mutants`,
//! switches one on with `mutant=` on the command line, and wants the scenario
//! that stands for it in `docs/rows` to fail. In every other build the switch
//! is a constant, and nothing of it is left.

/// True if the kernel is to have the fault of this name.
#[macro_export]
macro_rules! mutant {
    ($name:literal) => {
        $crate::mutant::is($name)
    };
}

/// True if `mutant=` names this one.
#[cfg(feature = "mutants")]
#[must_use]
pub fn is(name: &str) -> bool {
    crate::cmdline().mutant == name
}

/// An ordinary kernel has none.
#[cfg(not(feature = "mutants"))]
#[must_use]
#[inline(always)]
pub const fn is(_name: &str) -> bool {
    false
}
