//! What straight operations do: each either does all of it, or nothing and says so, and then the
//! reference interpreter does it.

pub(crate) mod alu;
pub(crate) mod bit;
pub(crate) mod float;
pub(crate) mod mov;
pub(crate) mod multiply;
pub(crate) mod shift;
pub(crate) mod stack;
pub(crate) mod vector;

use crate::flags::Flags;
use crate::memory::View;
use crate::op::Op;

/// An operation that leads to the following one.
pub(crate) trait Body {
    /// Carries it out and tells the flags behind it; or tells nothing and has changed nothing.
    fn run(op: &Op, cx: &mut View<'_>, flags: Flags) -> Option<Flags>;
}
