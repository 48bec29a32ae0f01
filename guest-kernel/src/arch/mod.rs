//! The processor and the devices around it. Only one is known: x86-64.

mod x86_64;

pub use x86_64::*;
