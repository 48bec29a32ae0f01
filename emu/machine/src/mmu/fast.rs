//! The direct ways to memory, as the CPU and its engines use them.
//!
//! The slots themselves stand in [`crate::bus::fast`], with the pages that they
//! lead to; here is who may use which, and how it is asked for.

pub use crate::bus::fast::{Mode, SLOTS, Slot, offsets, read, read128, write, write128};

use super::Access;

impl Mode {
    /// The mode in which an access to data is made.
    #[inline]
    pub(super) fn of(access: Access) -> Mode {
        match (access.user, access.ac) {
            (true, _) => Mode::User,
            (false, true) => Mode::KernelAc,
            (false, false) => Mode::Kernel,
        }
    }
}

#[cfg(test)]
mod tests;
