//! What code there is around a place, and where control goes in it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use machine::addr::{PAGE_SIZE, PhysAddr, VirtAddr};
use machine::cpu::Cx;
use machine::cpu::decode::{MAX_LENGTH, decode};
use machine::cpu::insn::{Insn, NO_REGISTER, Op, Operand, Seg, Width};

use crate::emit::is_possible;
use crate::memory;

/// The most instructions of a region.
const MOST_INSNS: usize = 400;
/// The most blocks that are looked at.
const MOST_BLOCKS: usize = 80;
/// How far from its beginning, in pages, a region's code may lie.
const REACH: u64 = 16;
/// The most targets that are looked for in a table of them.
pub(crate) const MOST_TARGETS: usize = 12;

/// A page of code, and the frame and generation that it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) va: u64,
    pub(crate) frame: u64,
    pub(crate) generation: u32,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) pages: Vec<Page>,
    /// By address, each with the number of the straight run that it was found in.
    pub(crate) insns: BTreeMap<u64, (usize, Insn)>,
    /// Where control comes to, not all of it looked at.
    leaders: BTreeSet<u64>,
    /// Where calls return to.
    pub(crate) returns: Vec<u64>,
    /// What cannot be compiled.
    pub(crate) foreign: BTreeSet<u64>,
    /// For jumps through tables, what stands there.
    pub(crate) tables: BTreeMap<u64, Vec<u64>>,
}

/// Reads code where its translation is known.
struct Reader<'r, 'a> {
    cx: &'r mut Cx<'a>,
    root: u64,
    /// Whether others have an entry there.
    is_entry: &'r dyn Fn(u64) -> bool,
    waiting: VecDeque<u64>,
    found: Survey,
}

/// Where the code at `va` lies, if fetching it is known to pass without a walk.
pub(crate) fn known_code(cx: &Cx<'_>, va: u64) -> Option<PhysAddr> {
    cx.mmu.known(VirtAddr(va), cx.is_user())
}

/// Where a near branch leads that says so itself.
pub(crate) fn static_target(va: u64, insn: &Insn) -> Option<u64> {
    let Operand::Imm(distance) = insn.operands[0] else {
        return None;
    };
    Some(va.wrapping_add(u64::from(insn.len)).wrapping_add(distance))
}

fn ends_block(insn: &Insn) -> bool {
    matches!(insn.op, Op::Jmp | Op::Jcc | Op::Call | Op::Ret)
}

impl Survey {
    /// Looks around the running instruction, but not where others have entries.
    pub(crate) fn new(cx: &mut Cx<'_>, is_entry: &dyn Fn(u64) -> bool) -> Survey {
        let root = cx.cpu.rip;
        let mut reader = Reader {
            cx,
            root,
            is_entry,
            waiting: VecDeque::from([root]),
            found: Survey::default(),
        };
        while let Some(start) = reader.waiting.pop_front() {
            let found = &mut reader.found;
            if found.insns.len() >= MOST_INSNS || found.leaders.len() >= MOST_BLOCKS {
                break;
            }
            if found.leaders.insert(start) {
                reader.trace(start);
            }
        }
        reader.found.note_meetings();
        reader.found
    }

    /// Where a straight run met code that was known already, a block begins.
    fn note_meetings(&mut self) {
        for (va, (run, insn)) in &self.insns {
            let next = va.wrapping_add(u64::from(insn.len));
            let other = self.insns.get(&next);
            if !ends_block(insn) && other.is_some_and(|other| other.0 != *run) {
                self.leaders.insert(next);
            }
        }
    }

    /// Where blocks begin, sorted.
    pub(crate) fn starts(&self) -> Vec<u64> {
        let leaders = self.leaders.iter().copied();
        leaders.filter(|va| self.insns.contains_key(va)).collect()
    }
}

impl Reader<'_, '_> {
    fn page(&mut self, va: u64) -> Option<PhysAddr> {
        let page = va & !(PAGE_SIZE - 1);
        if let Some(known) = self.found.pages.iter().find(|known| known.va == page) {
            return Some(PhysAddr(known.frame << 12 | va & (PAGE_SIZE - 1)));
        }
        if (page >> 12).abs_diff(self.root >> 12) > REACH {
            return None;
        }
        let pa = known_code(self.cx, va)?;
        if !self.cx.bus.ram.contains(pa) {
            return None;
        }
        self.found.pages.push(Page {
            va: page,
            frame: pa.frame(),
            generation: self.cx.bus.ram.keep_code(pa),
        });
        Some(pa)
    }

    fn insn(&mut self, va: u64) -> Option<Insn> {
        let pa = self.page(va)?;
        let at = pa.offset() as usize;
        let model = self.cx.cpu.model;
        let page = self.cx.bus.ram.page(pa)?;
        let bytes = &page[at..(at + MAX_LENGTH).min(PAGE_SIZE as usize)];
        decode(bytes, 64, model).ok().flatten()
    }

    /// Decodes from `start` to where control may go elsewhere.
    fn trace(&mut self, start: u64) {
        let run = self.found.insns.len();
        let mut at = start;
        while self.found.insns.len() < MOST_INSNS && !self.found.insns.contains_key(&at) {
            if at != self.root && (self.is_entry)(at) {
                return;
            }
            let Some(insn) = self.insn(at).filter(is_possible) else {
                self.found.foreign.insert(at);
                return;
            };
            self.found.insns.insert(at, (run, insn));
            let next = at.wrapping_add(u64::from(insn.len));
            if ends_block(&insn) {
                return self.note_branch(at, &insn, next);
            }
            at = next;
        }
    }

    fn note_branch(&mut self, at: u64, insn: &Insn, next: u64) {
        self.waiting.extend(static_target(at, insn));
        match insn.op {
            Op::Jcc => self.waiting.push_back(next),
            Op::Call => {
                self.waiting.push_back(next);
                self.found.returns.push(next);
            }
            Op::Jmp => {
                let targets = self.table(insn);
                self.waiting.extend(&targets);
                self.found.tables.insert(at, targets);
            }
            _ => {}
        }
    }

    /// What the table of a jump holds that looks like code nearby. It may change
    /// and be wrong: the jump compares.
    fn table(&self, insn: &Insn) -> Vec<u64> {
        let mem = insn.mem;
        let is_table = insn.operands[0] == Operand::Mem
            && (mem.base, mem.scale, mem.address) == (NO_REGISTER, 8, Width::Qword)
            && mem.index != NO_REGISTER
            && !matches!(mem.seg, Seg::Fs | Seg::Gs);
        let mut targets = Vec::new();
        for number in 0..2 * MOST_TARGETS as u64 {
            let at = mem.disp.wrapping_add(8 * number);
            let target = match is_table {
                true => memory::peek(self.cx, at),
                false => None,
            };
            let near = |va: &u64| (va >> 12).abs_diff(self.root >> 12) <= 1;
            let Some(target) = target.filter(near) else {
                break;
            };
            if !targets.contains(&target) && targets.len() < MOST_TARGETS {
                targets.push(target);
            }
        }
        targets
    }
}
