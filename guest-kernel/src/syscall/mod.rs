//! System calls: the table, and what surrounds each call.

pub mod table;

use crate::arch::trap::TrapFrame;

/// One call: its arguments, and the caller's registers for the few calls that
/// work on them.
pub struct Call<'a> {
    /// The number.
    pub nr: u64,
    /// The six arguments.
    pub args: [u64; 6],
    /// The caller's registers.
    pub frame: &'a mut TrapFrame,
}

impl Call<'_> {
    /// Argument `index` as the 32-bit number that C passed.
    #[must_use]
    pub fn int(&self, index: usize) -> i32 {
        self.args[index] as i32
    }
}
