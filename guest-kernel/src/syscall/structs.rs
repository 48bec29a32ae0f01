//! Structures that system calls read and write as they are.

use linux_raw_sys::general::{stat, statfs, statx, termios, winsize};

use crate::mm::user::Plain;

// SAFETY: numbers only; the fields fill all of its 144 bytes.
unsafe impl Plain for stat {}
// SAFETY: numbers only; the fields fill all of its 120 bytes.
unsafe impl Plain for statfs {}
// SAFETY: numbers only; the fields fill all of its 256 bytes.
unsafe impl Plain for statx {}
// SAFETY: numbers only; the fields fill all of its 36 bytes.
unsafe impl Plain for termios {}
// SAFETY: numbers only; the fields fill all of its 8 bytes.
unsafe impl Plain for winsize {}

const _: () = {
    assert!(size_of::<stat>() == 144);
    assert!(size_of::<statfs>() == 120);
    assert!(size_of::<statx>() == 256);
    assert!(size_of::<termios>() == 36);
    assert!(size_of::<winsize>() == 8);
};
