//! The threaded-code interpreter.
#![no_std]
