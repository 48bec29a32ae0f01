//! A deterministic x86_64 computer.
#![no_std]

extern crate alloc;
