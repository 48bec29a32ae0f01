//! The blocks that have been translated.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::places::Places;
use machine::addr::{PAGE_SIZE, PhysAddr};
use machine::cpu::{CpuModel, Cx};
use machine::engine::block::Block;
use machine::{CostModel, addr::VirtAddr};

use crate::env::tag;
use crate::jumps::Jumps;
use crate::op::{Link, Links, Meta, Op, Packed, Store};
use crate::pieces::Pieces;
use crate::translate::{Code, translate};

/// The longest block, in instructions.
pub(crate) const LONGEST: usize = 64;

/// How many instructions are kept, each with some 150 bytes; one more, and all are dropped.
const MOST: usize = 64 << 10;

/// Where a block stands, and the rights that it runs with. The linear address belongs to it because
/// addresses relative to RIP are worked out once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    rip: u64,
    pa: u64,
    user: bool,
}

/// What stands at a [`Key`].
#[derive(Clone, Copy, Debug)]
struct Kept {
    generation: u32,
    /// The frame in which it ends, and that one's generation, if that is another one.
    second: Option<(PhysAddr, u32)>,
    /// Place in [`Cache::codes`]; none where the reference interpreter has to do it.
    code: Option<usize>,
}

/// A block, found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// Its first operation.
    pub(crate) entry: *const Op,
    /// What it is charged on entry.
    pub(crate) cost: Packed,
    /// Whether it begins with a string instruction that can go on where it paused.
    pub(crate) resumes: bool,
    pa: u64,
    generation: u32,
    /// It lies in two pages, so what is known of the first says nothing.
    crosses: bool,
}

/// All that has been translated, for one kind of CPU.
#[derive(Default)]
pub(crate) struct Cache {
    /// What the operations' own fields leave out.
    pub(crate) metas: Pieces<Meta>,
    /// Blocks by linear address.
    pub(crate) jumps: Jumps,
    /// Blocks are dropped all together: others may lead to them.
    codes: Vec<Code>,
    /// Where they lead.
    links: Store,
    places: Places<Key, Kept>,
    kind: Option<(CostModel, CpuModel)>,
    /// Where runs stop, by linear address and rights.
    stops: BTreeSet<(u64, bool)>,
    /// How often everything has been dropped.
    pub(crate) drops: u64,
}

impl Cache {
    /// Drops what was translated for another kind of CPU.
    pub(crate) fn check_kind(&mut self, cx: &Cx<'_>) {
        let kind = Some((cx.cost, cx.cpu.model));
        if self.kind != kind {
            self.clear();
            self.kind = kind;
        }
    }

    fn clear(&mut self) {
        self.metas.clear();
        self.jumps = Jumps::default();
        self.codes.clear();
        self.links = Store::default();
        self.places.clear();
        self.drops += 1;
    }

    /// Has runs stop before the code at this address, or no longer.
    pub(crate) fn set_stop(&mut self, rip: u64, user: bool, on: bool) {
        let changed = match on {
            true => self.stops.insert((rip, user)),
            false => self.stops.remove(&(rip, user)),
        };
        if !changed {
            return;
        }
        // Blocks stay where they are: others lead to them.
        let there = self
            .codes
            .iter_mut()
            .filter(|code| code.place == (rip, user));
        there.for_each(|code| code.keep_stop(on));
    }

    /// The block at RIP, translated if need be; none if the reference interpreter has to go on.
    pub(crate) fn find(&mut self, cx: &mut Cx<'_>) -> Option<Found> {
        let rip = cx.cpu.rip;
        let pa = cx.known_code().filter(|_| VirtAddr(rip).is_canonical())?;
        let key = Key {
            rip,
            pa: pa.0,
            user: cx.is_user(),
        };
        let kept = match self.places.get(&key) {
            Some(kept) if kept.holds(cx, pa) => *kept,
            _ => self.make(cx, key, pa),
        };
        let code = &self.codes[kept.code?];
        let found = Found {
            entry: code.ops.as_ptr(),
            cost: code.cost,
            resumes: code.resumes,
            pa: pa.0,
            generation: kept.generation,
            crosses: kept.second.is_some(),
        };
        self.jumps.keep(rip, tag(cx), found.entry, found.cost);
        Some(found)
    }

    #[cold]
    fn make(&mut self, cx: &mut Cx<'_>, key: Key, pa: PhysAddr) -> Kept {
        if self.metas.len() > MOST {
            self.clear();
        }
        let mut block = Block::decode(cx, pa, LONGEST);
        let mut second = None;
        if block.insns.is_empty()
            && let Some(other) = second_page(cx)
        {
            block = Block::decode_across(cx, pa, other);
            second = Some((other, cx.bus.ram.generation(other)));
        }
        let code = (!block.insns.is_empty()).then(|| {
            let mut code = translate(&block, key.rip, cx.cost, &mut self.metas, &mut self.links);
            code.place = (key.rip, key.user);
            code.keep_stop(self.stops.contains(&code.place));
            self.codes.push(code);
            self.codes.len() - 1
        });
        let kept = Kept {
            generation: cx.bus.ram.generation(pa),
            second,
            code,
        };
        self.places.insert(key, kept);
        kept
    }
}

impl Kept {
    /// Whether it is still what stands there.
    fn holds(&self, cx: &mut Cx<'_>, pa: PhysAddr) -> bool {
        if self.generation != cx.bus.ram.generation(pa) {
            return false;
        }
        match self.second {
            Some((second, generation)) => {
                second_page(cx) == Some(second) && generation == cx.bus.ram.generation(second)
            }
            // The other page may have become known since.
            None => self.code.is_some() || second_page(cx).is_none(),
        }
    }
}

/// Where the page behind RIP's lies, if that is known.
fn second_page(cx: &mut Cx<'_>) -> Option<PhysAddr> {
    let rip = cx.cpu.rip;
    cx.cpu.rip = (rip | (PAGE_SIZE - 1)).wrapping_add(1);
    let pa = cx.known_code();
    cx.cpu.rip = rip;
    pa
}

impl Found {
    /// Lets a link lead here under this tag.
    ///
    /// # Safety
    /// As for [`Links::seen`].
    pub(crate) unsafe fn put_into(&self, link: *const Link, tag: u64) {
        // SAFETY: the caller's promise.
        let (link, seen) = unsafe { (&*link, Links::seen(link)) };
        link.tag.set(tag);
        link.entry.set(self.entry);
        link.cost.set(self.cost);
        // No physical address: the block is looked up again when the tag has changed.
        seen.pa.set(if self.crosses { u64::MAX } else { self.pa });
        seen.generation.set(self.generation);
    }
}
