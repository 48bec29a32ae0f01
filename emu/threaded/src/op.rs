//! What a block is made of: operations of 32 bytes that lie one behind the other, and the links at
//! its end.

use alloc::vec::Vec;
use core::cell::Cell;
use core::ptr;

use machine::cpu::Cpu;
use machine::cpu::insn::Insn;

use crate::env::Env;

/// What carries out an operation and goes on to the next: operation, CPU, surroundings, the budget
/// (see [`Packed`]), and the two words of the flags.
pub(crate) type Handler = unsafe fn(*const Op, *mut Cpu, *mut Env<'static>, i64, u64, u64);

/// Cycles and instructions in one word, so that one subtraction counts both: the cycles that are
/// left above [`SHIFT`], and below it the instructions that have retired. No instruction costs less
/// than a cycle, so the lower part has room for as many as the upper part can pay for.
pub(crate) type Packed = i64;

/// Where the cycles begin in a [`Packed`].
pub(crate) const SHIFT: u32 = 31;

/// What is subtracted for this many cycles and instructions.
pub(crate) const fn packed(cycles: u64, instructions: u64) -> Packed {
    ((cycles as i64) << SHIFT) - instructions as i64
}

/// One operation.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Op {
    /// Its handler.
    pub(crate) run: Handler,
    /// The displacement of a memory operand, an immediate of 64 bits, or the place of two
    /// [`Link`]s.
    pub(crate) wide: u64,
    /// An immediate, sign-extended by who wants 64 bits.
    pub(crate) imm: i32,
    /// Place of its [`Meta`].
    pub(crate) meta: u32,
    /// The first operand's register; always less than 16, as are the others.
    pub(crate) dst: u8,
    /// The second operand's register.
    pub(crate) src: u8,
    /// The base register of a memory operand.
    pub(crate) base: u8,
    /// Its index register.
    pub(crate) index: u8,
    /// By how many bits the index is shifted.
    pub(crate) scale: u8,
    /// -1 if there is a base, otherwise 0.
    pub(crate) base_mask: i8,
    /// -1 if there is an index, otherwise 0.
    pub(crate) index_mask: i8,
    /// The segment whose base is added, FS or GS, by those handlers that add one.
    pub(crate) seg: u8,
}

const _: () = assert!(size_of::<Op>() == 32);

/// What is asked for only off the fast path.
#[derive(Clone, Debug)]
pub(crate) struct Meta {
    /// The instruction.
    pub(crate) insn: Insn,
    /// Where it stands.
    pub(crate) rip: u64,
    /// What it and the rest of its block were charged on entry.
    pub(crate) rest: Packed,
}

/// The way from the end of a block to the next one, looked up once for each epoch.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Link {
    /// The [`Env::tag`] under which it holds; no such tag is 0.
    pub(crate) tag: Cell<u64>,
    /// The first operation of the next block.
    pub(crate) entry: Cell<*const Op>,
    /// What the next block is charged on entry.
    pub(crate) cost: Cell<Packed>,
    /// Where the next block stands.
    pub(crate) target: u64,
}

/// What a link led to when it was looked up: asked for when the epoch has changed.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Physical address of the block.
    pub(crate) pa: Cell<u64>,
    /// Its frame's generation.
    pub(crate) generation: Cell<u32>,
}

/// The two links of a block: where a jump leads, and the following instruction. What is asked for
/// each time lies together, in one line of the host's cache.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Links {
    ways: [Link; 2],
    seen: [Seen; 2],
}

const _: () = assert!(size_of::<[Link; 2]>() == align_of::<Links>());

impl Links {
    /// Links that nobody has looked up.
    pub(crate) fn to(target: u64, following: u64) -> Links {
        let link = |target| Link {
            tag: Cell::new(0),
            entry: Cell::new(ptr::null()),
            cost: Cell::new(0),
            target,
        };
        Links {
            ways: [link(target), link(following)],
            seen: Default::default(),
        }
    }

    /// What is known of where this link led.
    ///
    /// # Safety
    /// The link is one of a [`Links`] that lives, reached by way of that.
    pub(crate) unsafe fn seen<'a>(link: *const Link) -> &'a Seen {
        let first = link.map_addr(|at| at & !(align_of::<Links>() - 1));
        let links = first.cast::<Links>();
        let which = usize::from(link != first);
        // SAFETY: the links begin where such a multiple does, and nothing in them is borrowed
        // mutably.
        unsafe { &(*links).seen[which] }
    }
}

/// Keeps links where operations can hold their addresses.
#[derive(Debug, Default)]
pub(crate) struct Store {
    /// Each has room for [`CHUNK`], and never more.
    chunks: Vec<Vec<Links>>,
}

const CHUNK: usize = 64;

impl Store {
    /// The exposed address of the links, which stay there as long as the store.
    pub(crate) fn keep(&mut self, links: Links) -> u64 {
        if self.chunks.last().is_none_or(|last| last.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let last = self.chunks.len() - 1;
        let chunk = &mut self.chunks[last];
        let at = chunk.len();
        chunk.push(links);
        chunk.as_mut_ptr().wrapping_add(at).expose_provenance() as u64
    }
}
