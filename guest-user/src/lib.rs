//! The runtime and the small pthread library of coe's user programs.
#![no_std]
