//! Memory that holds compiled code: written, then made executable, never both at
//! once.

use std::io;

use machine::cpu::Cpu;
use memmap2::{Mmap, MmapMut};

use crate::state::{Reason, State};

/// Bytes of a piece of memory that several functions share. A host whose caches
/// for code do not see writes (aarch64) makes them agree when fresh pages become
/// executable, and only then: there, each function has pages of its own.
const PIECE: usize = if cfg!(target_arch = "x86_64") {
    1 << 16
} else {
    0
};

/// Where functions begin: at a line of the host's cache, or at a page.
const ALIGNMENT: usize = if PIECE == 0 { 4096 } else { 64 };

/// Memory for functions.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    full: Vec<Mmap>,
    /// The piece with room, and how much of it is taken.
    open: Option<(Mmap, usize)>,
    lost: bool,
}

/// The code of one function; good as long as its arena has it.
#[derive(Debug)]
pub(crate) struct Code {
    start: usize,
    len: usize,
}

/// (state, CPU, number of the entry, the region's code) to a
/// [`Reason`](crate::state::Reason).
type Gate = unsafe extern "C" fn(*mut State<'_, '_>, *mut Cpu, u64, u64) -> u64;

impl Arena {
    /// Makes code of these bytes.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> io::Result<Code> {
        let room = |open: &(Mmap, usize)| open.0.len() - open.1 >= bytes.len();
        let (mut memory, at) = match self.open.take_if(|open| room(open)) {
            Some((memory, at)) => {
                // If this fails, what stood there is gone.
                self.lost = true;
                (memory.make_mut()?, at)
            }
            None => (MmapMut::map_anon(bytes.len().max(PIECE).max(1))?, 0),
        };
        memory[at..at + bytes.len()].copy_from_slice(bytes);
        self.lost |= at != 0;
        let memory = memory.make_exec()?;
        self.lost = false;
        let code = Code {
            start: memory[at..].as_ptr().expose_provenance(),
            len: bytes.len(),
        };
        let end = (at + bytes.len()).next_multiple_of(ALIGNMENT);
        if let Some((full, _)) = self.open.take() {
            self.full.push(full);
        }
        match end < memory.len() {
            true => self.open = Some((memory, end)),
            false => self.full.push(memory),
        }
        Ok(code)
    }

    /// Whether functions have been lost, because the host would not have their
    /// memory changed. No code of this arena may be entered then.
    pub(crate) fn has_lost(&self) -> bool {
        self.lost
    }

    /// Drops all functions.
    pub(crate) fn clear(&mut self) {
        *self = Arena::default();
    }
}

impl Code {
    /// Where it begins.
    pub(crate) fn address(&self) -> u64 {
        self.start as u64
    }

    /// Bytes of the host's memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.len.next_multiple_of(ALIGNMENT)
    }
}

/// Runs compiled code from one of a region's entries; says why it was left, of
/// whatever region it was left.
pub(crate) fn enter(state: &mut State<'_, '_>, gate: &Code, code: &Code, entry: u64) -> Reason {
    // SAFETY: the gate's bytes are what the compiler made of a function of this
    // type, and the region's what it made of one that the gate may call (see
    // `compile`), in an arena that stays as it is while the state borrows the
    // engine's regions; where they go on in further regions, the table of
    // places has those of the same arena only, since both are cleared together.
    // Compiled code touches the state's public fields, the table of places, the
    // CPU that `cx` points to, the slots of the bank and, where their tags
    // allow it, the guest's memory; `fast_bank` promises that the bank and the
    // pages stay until something is done with `cx`, which only happens in the
    // functions below, where the code does not rely on earlier answers.
    unsafe {
        let gate = std::ptr::with_exposed_provenance::<u8>(gate.start);
        let gate: Gate = std::mem::transmute::<*const u8, Gate>(gate);
        let cpu: *mut Cpu = &raw mut *state.cx.cpu;
        Reason::from_number(gate(state, cpu, entry, code.address()))
    }
}

/// The addresses of the functions that compiled code calls.
pub(crate) fn functions() -> [u64; 3] {
    let fill: unsafe extern "C" fn(*mut State<'_, '_>, u64, u64) = fill;
    let step: unsafe extern "C" fn(*mut State<'_, '_>, u64, i64, i64) -> i64 = step;
    let settle: unsafe extern "C" fn(*mut State<'_, '_>) = settle;
    [fill as usize, step as usize, settle as usize].map(|address| address as u64)
}

/// Called by compiled code.
///
/// # Safety
/// `state` is what the compiled code was given.
unsafe extern "C" fn fill(state: *mut State<'_, '_>, va: u64, kind: u64) {
    // SAFETY: `enter` has lent the state to the compiled code, which lends it on.
    let state = unsafe { &mut *state };
    state.host = state.fill(va, kind);
}

/// Called by compiled code.
///
/// # Safety
/// `state` is what the compiled code was given.
unsafe extern "C" fn step(state: *mut State<'_, '_>, at: u64, budget: i64, need: i64) -> i64 {
    // SAFETY: as in `fill`.
    unsafe { &mut *state }.step(at, budget, need)
}

/// Called by compiled code.
///
/// # Safety
/// `state` is what the compiled code was given.
unsafe extern "C" fn settle(state: *mut State<'_, '_>) {
    // SAFETY: as in `fill`.
    unsafe { &mut *state }.settle_word();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_stay_as_they_are_when_others_come_to_their_piece() {
        let mut arena = Arena::default();
        let text = |number: u8| vec![number; usize::from(number) * 97];
        let codes: Vec<Code> = (0..=255)
            .map(|number| arena.add(&text(number)).expect("memory"))
            .collect();
        assert!(!arena.has_lost());
        for (code, number) in codes.iter().zip(0..=255) {
            assert_eq!(code.start % ALIGNMENT, 0);
            let start = std::ptr::with_exposed_provenance::<u8>(code.start);
            // SAFETY: the arena has so many bytes there, and keeps them readable.
            let there = unsafe { std::slice::from_raw_parts(start, code.len) };
            assert_eq!(there, text(number));
        }
    }
}
