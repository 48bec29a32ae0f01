//! Memory that holds compiled code: written first, then made executable, never
//! both at once.

use std::io;

use machine::cpu::Cpu;
use memmap2::{Mmap, MmapMut};

use crate::state::{Reason, State};

/// What most hosts have as a page, in bytes.
const PAGE: usize = 4096;

/// The code of one function.
#[derive(Debug)]
pub(crate) struct Code(Mmap);

/// (state, CPU, number of the entry) to a [`Reason`](crate::state::Reason).
type Compiled = unsafe extern "C" fn(*mut State<'_, '_>, *mut Cpu, u64) -> u64;

impl Code {
    /// Makes code of these bytes. Their pages are fresh, so a host whose caches for
    /// code do not see writes (aarch64) makes them agree when the pages become
    /// executable, and nobody has fetched from them before.
    pub(crate) fn new(bytes: &[u8]) -> io::Result<Code> {
        let mut memory = MmapMut::map_anon(bytes.len().max(1))?;
        memory[..bytes.len()].copy_from_slice(bytes);
        Ok(Code(memory.make_exec()?))
    }

    /// Where it begins.
    pub(crate) fn address(&self) -> u64 {
        self.0.as_ptr().addr() as u64
    }

    fn start(&self) -> *const u8 {
        self.0.as_ptr()
    }

    /// Bytes of the host's memory that it takes: whole pages.
    pub(crate) fn bytes(&self) -> usize {
        self.0.len().next_multiple_of(PAGE)
    }
}

/// Runs the state's region from one of its entries; says why it was left.
pub(crate) fn enter(state: &mut State<'_, '_>, entry: u64) -> Reason {
    // SAFETY: the bytes are what the compiler made of a function of this type
    // (see `compile`), in memory that stays executable while the region is
    // borrowed by the state. That function touches the state's public fields,
    // the CPU that `cx` points to, the slots of the bank and, where their tags
    // allow it, the guest's memory; `fast_bank` promises that the bank and the
    // pages stay until something is done with `cx`, which only happens in the
    // functions below, where the code does not rely on earlier answers.
    unsafe {
        let compiled: Compiled =
            std::mem::transmute::<*const u8, Compiled>(state.region.code.start());
        let cpu: *mut Cpu = &raw mut *state.cx.cpu;
        Reason::from_number(compiled(state, cpu, entry))
    }
}

/// The addresses of the functions that compiled code calls.
pub(crate) fn functions() -> [u64; 2] {
    let fill: unsafe extern "C" fn(*mut State<'_, '_>, u64, u64) = fill;
    let step: unsafe extern "C" fn(*mut State<'_, '_>, u64, i64, i64) -> i64 = step;
    [fill as usize as u64, step as usize as u64]
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
