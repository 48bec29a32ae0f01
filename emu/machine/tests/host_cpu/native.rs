//! The host's CPU: a child runs batches of cases on itself.
//!
//! A case is entered by returning from a signal handler whose saved context is the case's state
//! with the trap flag set; after one instruction (or its fault) the next signal brings the outcome
//! in its saved context, and leaves with the next case. So a batch costs two switches between
//! processes, and each case two crossings into the host's kernel.

use std::io;
use std::mem;
use std::ptr;
use std::sync::atomic::Ordering;

use libc::{c_int, c_void, pid_t};

use crate::child::{self, Shared};
use crate::generate::Case;
use crate::state::{Fault, Outcome, SLOT, State};

/// Cases that are handed over at once.
pub const BATCH: usize = 256;

/// How a case ended, in [`Slot::vector`]: by the trap after it, or not yet.
pub const DONE: u64 = 1;
const UNFINISHED: u64 = u64::MAX;

/// One case on its way there and back.
#[repr(C)]
pub struct Slot {
    pub before: State,
    pub after: State,
    pub code: [u8; SLOT],
    /// Whether it is a string instruction, which traps after each repetition.
    pub repeats: bool,
    pub vector: u64,
    pub error: u64,
    pub address: u64,
}

/// The child, and the memory that it shares with us.
pub struct Native {
    child: pid_t,
    shared: *mut Shared,
    /// Where we write to and read from.
    pipe: (c_int, c_int),
}

impl Native {
    /// Starts the child.
    pub fn start() -> io::Result<Native> {
        let shared = map(
            0,
            mem::size_of::<Shared>(),
            libc::MAP_SHARED,
            libc::PROT_READ | libc::PROT_WRITE,
        )?
        .cast();
        let mut native = Native {
            child: 0,
            shared,
            pipe: (-1, -1),
        };
        native.fork()?;
        Ok(native)
    }

    /// A new child, which has said that it is ready.
    fn fork(&mut self) -> io::Result<()> {
        let (there, back) = (pipe()?, pipe()?);
        // SAFETY: the child calls only `serve`, which is made of system calls.
        let child = unsafe { libc::fork() };
        match child {
            -1 => return Err(io::Error::last_os_error()),
            0 => child::serve(self.shared, there.0, back.1),
            _ => {}
        }
        // SAFETY: our own descriptors. With the child's ends closed its death ends our reads.
        unsafe {
            libc::close(there.0);
            libc::close(back.1);
        }
        self.child = child;
        self.pipe = (there.1, back.0);
        self.wait()
    }

    /// Runs up to [`BATCH`] cases; `None` for one that killed the child.
    pub fn run(&mut self, cases: &[Case]) -> Vec<Option<Outcome>> {
        assert!(cases.len() <= BATCH);
        for (i, case) in cases.iter().enumerate() {
            // SAFETY: there are BATCH slots, and the child waits for us.
            let slot = unsafe { &mut (*self.shared).slots[i] };
            slot.before.clone_from(&case.state);
            slot.code = [0x90; SLOT];
            slot.code[..case.bytes.len()].copy_from_slice(&case.bytes);
            slot.repeats = case.instruction.is_string_instruction();
            slot.vector = UNFINISHED;
        }
        let mut first = 0;
        while first < cases.len() && !self.serve(first, cases.len()) {
            // SAFETY: the child is dead.
            first = unsafe { (*self.shared).current.load(Ordering::Relaxed) } + 1;
            self.end();
            self.fork().expect("another child, as there was one");
        }
        // SAFETY: as above; the child waits again.
        (0..cases.len())
            .map(|i| outcome(unsafe { &(*self.shared).slots[i] }))
            .collect()
    }

    /// Has the child run these slots; false if it died.
    fn serve(&mut self, first: usize, end: usize) -> bool {
        // SAFETY: the child waits; writes one byte from a local.
        let sent = unsafe {
            (*self.shared).current.store(first, Ordering::Relaxed);
            (*self.shared).end.store(end, Ordering::Relaxed);
            libc::write(self.pipe.0, ptr::from_ref(&0_u8).cast(), 1)
        };
        sent == 1 && self.wait().is_ok()
    }

    fn wait(&self) -> io::Result<()> {
        let mut byte = 0_u8;
        // SAFETY: reads one byte into a local.
        match unsafe { libc::read(self.pipe.1, ptr::from_mut(&mut byte).cast(), 1) } {
            1 => Ok(()),
            _ => Err(io::Error::other("the child has died")),
        }
    }

    fn end(&mut self) {
        // SAFETY: plain system calls on our own child and descriptors.
        unsafe {
            libc::kill(self.child, libc::SIGKILL);
            libc::waitpid(self.child, ptr::null_mut(), 0);
            libc::close(self.pipe.0);
            libc::close(self.pipe.1);
        }
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        self.end();
        // SAFETY: our own mapping, which nobody uses any more.
        unsafe { libc::munmap(self.shared.cast(), mem::size_of::<Shared>()) };
    }
}

fn outcome(slot: &Slot) -> Option<Outcome> {
    let fault = match slot.vector {
        UNFINISHED => return None,
        DONE => None,
        vector => Some(Fault::new(vector as u8, slot.error as u16, slot.address)),
    };
    Some(Outcome {
        state: Box::new(slot.after.clone()),
        fault,
    })
}

/// New anonymous memory at a place, or anywhere if that is 0.
pub fn map(at: u64, len: usize, flags: c_int, rights: c_int) -> io::Result<*mut c_void> {
    let fixed = if at == 0 {
        0
    } else {
        libc::MAP_FIXED_NOREPLACE
    };
    let flags = flags | fixed | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping that replaces nothing.
    let place = unsafe { libc::mmap(at as *mut c_void, len, rights, flags, -1, 0) };
    if place == libc::MAP_FAILED || at != 0 && place as u64 != at {
        return Err(io::Error::last_os_error());
    }
    Ok(place)
}

fn pipe() -> io::Result<(c_int, c_int)> {
    let mut ends = [0; 2];
    // SAFETY: fills an array of two.
    match unsafe { libc::pipe(ends.as_mut_ptr()) } {
        0 => Ok((ends[0], ends[1])),
        _ => Err(io::Error::last_os_error()),
    }
}
