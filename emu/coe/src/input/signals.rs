//! The signals that would end coe and leave a terminal as the guest had it.
//!
//! They are only noted; who has the terminal looks at them, puts it back, and
//! then dies of the same signal.

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

const SIGHUP: c_int = 1;
const SIGINT: c_int = 2;
const SIGQUIT: c_int = 3;
const SIGTERM: c_int = 15;
const SIGCONT: c_int = 18;

/// Those that end coe.
const DEADLY: [c_int; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

/// What `signal` takes and gives for a signal with its default action, and for
/// one that is ignored.
const DEFAULT: usize = 0;
const IGNORE: usize = 1;

/// The deadly signal that came; 0 if none did.
static DEADLY_CAME: AtomicI32 = AtomicI32::new(0);
/// coe was stopped and goes on.
static CONTINUED: AtomicBool = AtomicBool::new(false);

// SAFETY: these are the declarations of the C library, which Rust's standard
// library is linked with on every Unix; handlers are passed as addresses.
unsafe extern "C" {
    fn signal(number: c_int, handler: usize) -> usize;
    safe fn raise(number: c_int) -> c_int;
}

extern "C" fn note(number: c_int) {
    if number == SIGCONT {
        CONTINUED.store(true, Ordering::Relaxed);
    } else {
        DEADLY_CAME.store(number, Ordering::Relaxed);
    }
}

fn set(number: c_int, handler: usize) -> usize {
    // SAFETY: `handler` is DEFAULT, IGNORE or the address of `note`, which has
    // the type of a handler, lives as long as the program, and does nothing but
    // store into atomics: that is allowed at any moment of any thread.
    unsafe { signal(number, handler) }
}

/// Notes these signals from now on, except those that somebody has coe ignore.
pub(super) fn watch() {
    let note = note as extern "C" fn(c_int) as usize;
    for number in DEADLY {
        if set(number, note) == IGNORE {
            set(number, IGNORE);
        }
    }
    set(SIGCONT, note);
}

/// The signals do again what they do by default, and one that came does it now.
pub(super) fn unwatch() {
    for number in DEADLY.into_iter().chain([SIGCONT]) {
        if set(number, DEFAULT) == IGNORE {
            set(number, IGNORE);
        }
    }
}

/// The deadly signal that came, if one did.
pub(super) fn deadly() -> Option<i32> {
    let number = DEADLY_CAME.load(Ordering::Relaxed);
    (number != 0).then_some(number)
}

/// True once after coe was stopped and went on.
pub(super) fn continued() -> bool {
    CONTINUED.swap(false, Ordering::Relaxed)
}

/// Ends coe by the deadly signal that came while they were watched, if one did,
/// as if it came now.
pub fn die_if_told() {
    if let Some(number) = deadly() {
        set(number, DEFAULT);
        raise(number);
    }
}
