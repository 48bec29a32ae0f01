//! Compiled regions.

use machine::cpu::insn::Insn;
use machine::cpu::state::{cr0, cr4};
use machine::cpu::{Cpu, Cx};

use crate::code::Code;
use crate::emit::{is_ready, needs_mxcsr};
use crate::plan::Plan;
use crate::state::Aside;
use crate::survey::{Page, known_code};

/// Instructions of a region that are too many to be in others too.
const LARGE: usize = 64;

/// What the CPU is ready for, in two bits: vectors, and numbers in them.
pub(crate) fn abilities(cpu: &Cpu) -> u64 {
    let on = cpu.cr0 & (cr0::EM | cr0::TS) == 0 && cpu.cr4 & cr4::OSFXSR != 0;
    u64::from(on) | u64::from(is_ready(cpu)) << 1
}

/// A region: its code, and what that was made of.
#[derive(Debug)]
pub(crate) struct Region {
    pub(crate) code: Code,
    /// Where it may be left aside.
    pub(crate) asides: Vec<Aside>,
    /// Addresses at which it can be entered, by number.
    pub(crate) entries: Vec<u64>,
    pages: Vec<Page>,
    /// It has instructions on vectors; on numbers among them.
    vector: bool,
    float: bool,
    /// Sorted by address.
    insns: Vec<(u64, Insn)>,
    pub(crate) stays: Stays,
}

/// Stays that are judged together.
const STAYS: u32 = 256;

/// Instructions of a stay that pay for coming and going.
const WORTH: u64 = 40;

/// How long a region's code carries on once it is entered, on average.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stays {
    count: u32,
    insns: u64,
}

impl Stays {
    /// Counts one of so many instructions; whether the last ones were too short.
    pub(crate) fn are_short(&mut self, insns: u64) -> bool {
        self.count += 1;
        self.insns += insns;
        if self.count < STAYS {
            return false;
        }
        let all = std::mem::take(self);
        all.insns < WORTH * u64::from(STAYS)
    }
}

impl Region {
    pub(crate) fn new(plan: Plan, code: Code, asides: Vec<Aside>) -> Region {
        let entries = crate::emit::entries(&plan);
        let entries = entries.iter().map(|&i| plan.blocks[i].va).collect();
        let blocks = plan.blocks.into_iter();
        let mut insns: Vec<(u64, Insn)> = blocks.flat_map(|block| block.insns).collect();
        insns.sort_by_key(|insn| insn.0);
        Region {
            code,
            asides,
            entries,
            pages: plan.pages,
            vector: insns.iter().any(|(_, insn)| insn.family.is_vector()),
            float: insns.iter().any(|(_, insn)| needs_mxcsr(insn)),
            insns,
            stays: Stays::default(),
        }
    }

    /// Bytes of the host's memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        let lists = self.entries.len() * size_of::<u64>()
            + self.asides.len() * size_of::<Aside>()
            + self.pages.len() * size_of::<Page>()
            + self.insns.len() * size_of::<(u64, Insn)>();
        self.code.bytes() + lists
    }

    /// Whether the CPU is in a state for which it was compiled.
    pub(crate) fn fits(&self, cpu: &Cpu) -> bool {
        let needs = u64::from(self.vector) | u64::from(self.float) << 1;
        needs & !abilities(cpu) == 0
    }

    /// Whether all of its code stands where it was found, and fetching it is
    /// known to pass.
    pub(crate) fn is_valid(&self, cx: &Cx<'_>) -> bool {
        self.pages.iter().all(|page| {
            let pa = known_code(cx, page.va);
            pa.is_some_and(|pa| {
                pa.frame() == page.frame && cx.bus.ram.generation(pa) == page.generation
            })
        })
    }

    /// Whether others should rather go on here than have its code once more.
    pub(crate) fn is_large(&self) -> bool {
        self.insns.len() >= LARGE
    }

    /// The instruction at this address.
    pub(crate) fn insn(&self, va: u64) -> Option<Insn> {
        let place = self.insns.binary_search_by_key(&va, |insn| insn.0);
        place.ok().map(|place| self.insns[place].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_are_judged_by_their_average() {
        let mut stays = Stays::default();
        let mut judged = |insns: u64| (0..STAYS).filter(|_| stays.are_short(insns)).count();
        assert_eq!(judged(WORTH), 0);
        assert_eq!(judged(WORTH - 1), 1);
        assert_eq!(judged(WORTH), 0, "short ones of before are forgotten");
    }
}
