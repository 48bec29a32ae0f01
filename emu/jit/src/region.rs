//! Compiled regions.

use machine::cpu::Cx;
use machine::cpu::insn::Insn;

use crate::code::Code;
use crate::plan::{Page, Plan, known_code};

/// A region: its code, and what that was made of.
#[derive(Debug)]
pub(crate) struct Region {
    pub(crate) code: Code,
    /// Addresses at which it can be entered, by number.
    pub(crate) entries: Vec<u64>,
    pages: Vec<Page>,
    /// Sorted by address.
    insns: Vec<(u64, Insn)>,
}

impl Region {
    pub(crate) fn new(plan: Plan, code: Code) -> Region {
        let entries = crate::emit::entries(&plan);
        let entries = entries.iter().map(|&i| plan.blocks[i].va).collect();
        let blocks = plan.blocks.into_iter();
        let mut insns: Vec<(u64, Insn)> = blocks.flat_map(|block| block.insns).collect();
        insns.sort_by_key(|insn| insn.0);
        Region {
            code,
            entries,
            pages: plan.pages,
            insns,
        }
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

    /// The instruction at this address.
    pub(crate) fn insn(&self, va: u64) -> Option<Insn> {
        let place = self.insns.binary_search_by_key(&va, |insn| insn.0);
        place.ok().map(|place| self.insns[place].1)
    }
}
