//! The guests that the build script built: the kernel and the user programs.
//!
//! `init` is among the programs; in the guest it lies at `/init`, the others
//! in `/bin`.
#![allow(
    unreachable_pub,
    reason = "the build script does not know who sees this module"
)]

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
