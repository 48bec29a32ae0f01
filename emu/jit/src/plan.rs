//! What is compiled at once: blocks that lead to each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use machine::addr::{PAGE_SIZE, PhysAddr, VirtAddr};
use machine::cpu::decode::{MAX_LENGTH, decode};
use machine::cpu::insn::{Insn, Op, Operand};
use machine::cpu::{Cpu, Cx};

use crate::emit::cost::cost;
use crate::emit::{is_native, is_possible, is_ready, needs_mxcsr};

/// The most instructions of a region.
const MOST_INSNS: usize = 200;
/// The most blocks that are looked at.
const MOST_BLOCKS: usize = 40;
/// Instructions that are worth compiling without a loop.
const LONG: usize = 8;
/// How far from its beginning, in pages, a region's code may lie.
const REACH: u64 = 16;
/// The most return sites that a RET is compared with.
const MOST_RETURNS: usize = 6;

/// A page of code, and the frame and generation that it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub(crate) va: u64,
    pub(crate) frame: u64,
    pub(crate) generation: u32,
}

/// How a block ends. Places in the region's blocks are `Ok`, others addresses.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// It goes on there: by a jump, a call, or just so.
    Goto(Target),
    /// Jcc.
    Branch { taken: Target, other: Target },
    /// RET, perhaps to one of these.
    Return(Vec<(u64, usize)>),
    /// A jump or call through a register or memory.
    Indirect,
    /// What stands here is for the reference interpreter.
    Leave(u64),
}

/// Where control goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// To a block of the region.
    Inside(usize),
    /// To this address.
    Outside(u64),
}

/// Instructions that follow each other.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// Address of the first.
    pub(crate) va: u64,
    /// All of them, a jump at the end included; with their addresses.
    pub(crate) insns: Vec<(u64, Insn)>,
    pub(crate) end: End,
    /// How many of them are compiled themselves, and the cycles of those,
    /// without what is dynamic.
    pub(crate) count: u64,
    pub(crate) cost: u64,
    /// The most cycles from this block's beginning to the next check of the
    /// budget.
    pub(crate) reach: u64,
    /// Somebody comes back here, or enters here.
    pub(crate) is_header: bool,
    /// How often it is gone to from inside.
    pub(crate) comes_from: usize,
}

impl Block {
    /// Where it is returned to, if it ends in a call out of the region.
    fn return_site(&self) -> Option<u64> {
        let (va, last) = self.insns.last()?;
        let out = matches!(self.end, End::Indirect | End::Goto(Target::Outside(_)));
        let next = va.wrapping_add(u64::from(last.len));
        (out && last.op == Op::Call).then_some(next)
    }

    /// The region's blocks that may follow.
    pub(crate) fn next(&self) -> Vec<usize> {
        let inside = |target: &Target| match target {
            Target::Inside(index) => Some(*index),
            Target::Outside(_) => None,
        };
        match &self.end {
            End::Goto(target) => inside(target).into_iter().collect(),
            End::Branch { taken, other } => {
                inside(taken).into_iter().chain(inside(other)).collect()
            }
            End::Return(sites) => sites.iter().map(|site| site.1).collect(),
            End::Indirect | End::Leave(_) => Vec::new(),
        }
    }
}

/// What is to be compiled.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// In an order in which a block's only predecessor comes before it; the
    /// first is where the region begins.
    pub(crate) blocks: Vec<Block>,
    pub(crate) pages: Vec<Page>,
    /// Some blocks come again.
    pub(crate) has_loop: bool,
}

/// Reads code where its translation is known.
struct Reader<'c, 'a> {
    cx: &'c mut Cx<'a>,
    root: u64,
    pages: Vec<Page>,
}

impl Reader<'_, '_> {
    fn page(&mut self, va: u64) -> Option<PhysAddr> {
        let page = va & !(PAGE_SIZE - 1);
        if let Some(known) = self.pages.iter().find(|known| known.va == page) {
            return Some(PhysAddr(known.frame << 12 | va & (PAGE_SIZE - 1)));
        }
        if (page >> 12).abs_diff(self.root >> 12) > REACH {
            return None;
        }
        let pa = known_code(self.cx, va)?;
        if !self.cx.bus.ram.contains(pa) {
            return None;
        }
        self.pages.push(Page {
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
}

/// Where the code at `va` lies, if fetching it is known to pass without a walk.
pub(crate) fn known_code(cx: &Cx<'_>, va: u64) -> Option<PhysAddr> {
    cx.mmu.known(VirtAddr(va), cx.is_user())
}

/// Where a near branch leads that says so itself.
fn static_target(va: u64, insn: &Insn) -> Option<u64> {
    let Operand::Imm(distance) = insn.operands[0] else {
        return None;
    };
    Some(va.wrapping_add(u64::from(insn.len)).wrapping_add(distance))
}

fn ends_block(insn: &Insn) -> bool {
    matches!(insn.op, Op::Jmp | Op::Jcc | Op::Call | Op::Ret)
}

impl Plan {
    /// Looks at the code around the running instruction; none if it is not one
    /// that can be compiled.
    pub(crate) fn new(cx: &mut Cx<'_>) -> Option<Plan> {
        let root = cx.cpu.rip;
        let mut reader = Reader {
            cx,
            root,
            pages: Vec::new(),
        };
        let mut insns = BTreeMap::new();
        let mut leaders = BTreeSet::new();
        let mut returns = Vec::new();
        let mut foreign = BTreeSet::new();
        let mut waiting = VecDeque::from([root]);
        while let Some(start) = waiting.pop_front() {
            if insns.len() >= MOST_INSNS || leaders.len() >= MOST_BLOCKS {
                break;
            }
            if leaders.insert(start) {
                let foreigner = trace(&mut reader, start, &mut insns, &mut waiting, &mut returns);
                foreign.extend(foreigner);
            }
        }
        let pages = reader.pages;
        // Where a straight run met code that was known already, a block begins.
        let known: Vec<(u64, usize)> = insns.iter().map(|(va, (run, _))| (*va, *run)).collect();
        let run_of = |va: u64| {
            known
                .binary_search_by_key(&va, |k| k.0)
                .ok()
                .map(|i| known[i].1)
        };
        for (va, (run, insn)) in &insns {
            let next = va + u64::from(insn.len);
            if !ends_block(insn) && run_of(next).is_some_and(|other| other != *run) {
                leaders.insert(next);
            }
        }
        let mut plan = form(&insns, &leaders, &returns, &foreign, root)?;
        plan.pages = pages;
        let cost_model = reader.cx.cost;
        for block in &mut plan.blocks {
            let native = block.insns.iter().filter(|(_, insn)| is_native(insn));
            block.count = native.clone().count() as u64;
            block.cost = native.map(|(_, insn)| cost(insn, cost_model)).sum();
        }
        plan.arrange();
        Some(plan)
    }
}

type Insns = BTreeMap<u64, (usize, Insn)>;

/// Decodes from `start` to where control may go elsewhere; the address of what
/// cannot be compiled, if that comes first.
fn trace(
    reader: &mut Reader<'_, '_>,
    start: u64,
    insns: &mut Insns,
    waiting: &mut VecDeque<u64>,
    returns: &mut Vec<u64>,
) -> Option<u64> {
    let run = insns.len();
    let mut at = start;
    while insns.len() < MOST_INSNS && !insns.contains_key(&at) {
        let Some(insn) = reader.insn(at).filter(is_possible) else {
            return Some(at);
        };
        insns.insert(at, (run, insn));
        let next = at.wrapping_add(u64::from(insn.len));
        if ends_block(&insn) {
            waiting.extend(static_target(at, &insn));
            match insn.op {
                Op::Jcc => waiting.push_back(next),
                Op::Call => {
                    waiting.push_back(next);
                    returns.push(next);
                }
                _ => {}
            }
            return None;
        }
        at = next;
    }
    None
}

/// Makes blocks of instructions.
fn form(
    insns: &Insns,
    leaders: &BTreeSet<u64>,
    returns: &[u64],
    foreign: &BTreeSet<u64>,
    root: u64,
) -> Option<Plan> {
    let starts: Vec<u64> = leaders
        .iter()
        .copied()
        .filter(|va| insns.contains_key(va))
        .collect();
    let root = starts.binary_search(&root).ok()?;
    let target = |va: u64| match starts.binary_search(&va) {
        Ok(index) => Target::Inside(index),
        Err(_) => Target::Outside(va),
    };
    let sites: Vec<(u64, usize)> = returns
        .iter()
        .filter_map(|va| Some((*va, starts.binary_search(va).ok()?)))
        .take(MOST_RETURNS)
        .collect();
    let blocks = starts
        .iter()
        .map(|start| {
            let mut block = Block {
                va: *start,
                insns: Vec::new(),
                end: End::Leave(*start),
                count: 0,
                cost: 0,
                reach: 0,
                is_header: false,
                comes_from: 0,
            };
            let mut at = *start;
            while let Some((_, insn)) = insns.get(&at) {
                if at != *start && leaders.contains(&at) {
                    block.end = End::Goto(target(at));
                    return block;
                }
                block.insns.push((at, *insn));
                let next = at.wrapping_add(u64::from(insn.len));
                let Some(end) = end(at, insn, next, &target, &sites) else {
                    at = next;
                    continue;
                };
                block.end = end;
                return block;
            }
            block.end = match foreign.contains(&at) {
                true => End::Leave(at),
                // There was no room for more.
                false => End::Goto(Target::Outside(at)),
            };
            block
        })
        .collect();
    let mut plan = Plan {
        blocks,
        pages: Vec::new(),
        has_loop: false,
    };
    plan.order(root, &starts);
    Some(plan)
}

fn end(
    va: u64,
    insn: &Insn,
    next: u64,
    target: &impl Fn(u64) -> Target,
    sites: &[(u64, usize)],
) -> Option<End> {
    Some(match (insn.op, static_target(va, insn)) {
        (Op::Jcc, Some(taken)) => End::Branch {
            taken: target(taken),
            other: target(next),
        },
        (Op::Jmp | Op::Call, Some(there)) => End::Goto(target(there)),
        (Op::Jmp | Op::Call, None) => End::Indirect,
        (Op::Ret, _) => End::Return(sites.to_vec()),
        _ => return None,
    })
}

impl Plan {
    /// Brings the blocks into the order of a search in depth from the root, and
    /// from where calls out of the region return to; what it does not find is
    /// dropped.
    fn order(&mut self, root: usize, starts: &[u64]) {
        let mut order = Vec::new();
        let mut seen = vec![false; self.blocks.len()];
        let mut sites = VecDeque::from([root]);
        while let Some(site) = sites.pop_front() {
            self.blocks[site].is_header = true;
            let mut stack = vec![site];
            while let Some(index) = stack.pop() {
                if std::mem::replace(&mut seen[index], true) {
                    continue;
                }
                order.push(index);
                stack.extend(self.blocks[index].next().into_iter().rev());
                let site = self.blocks[index].return_site();
                sites.extend(site.and_then(|va| starts.binary_search(&va).ok()));
            }
        }
        let mut place = vec![usize::MAX; self.blocks.len()];
        for (new, old) in order.iter().enumerate() {
            place[*old] = new;
        }
        let moved = |target: &mut Target| {
            if let Target::Inside(index) = target {
                *index = place[*index];
            }
        };
        let mut blocks: Vec<Block> = order.iter().map(|old| self.blocks[*old].clone()).collect();
        for block in &mut blocks {
            match &mut block.end {
                End::Goto(target) => moved(target),
                End::Branch { taken, other } => {
                    moved(taken);
                    moved(other);
                }
                End::Return(sites) => sites.iter_mut().for_each(|site| site.1 = place[site.1]),
                End::Indirect | End::Leave(_) => {}
            }
        }
        self.blocks = blocks;
    }

    /// Finds out where loops begin, and how far it is from check to check.
    fn arrange(&mut self) {
        let next: Vec<Vec<usize>> = self.blocks.iter().map(Block::next).collect();
        for &index in next.iter().flatten() {
            self.blocks[index].comes_from += 1;
        }
        let mut done = vec![false; next.len()];
        let mut open = vec![false; next.len()];
        // In depth, from each entry: what is met while it is open is the head of
        // a loop.
        for first in 0..next.len() {
            if done[first] {
                continue;
            }
            let mut stack = vec![(first, 0)];
            open[first] = true;
            while let Some((index, at)) = stack.pop() {
                match next[index].get(at) {
                    Some(&other) => {
                        stack.push((index, at + 1));
                        if open[other] {
                            self.blocks[other].is_header = true;
                            self.has_loop = true;
                        } else if !done[other] {
                            open[other] = true;
                            stack.push((other, 0));
                        }
                    }
                    None => {
                        open[index] = false;
                        done[index] = true;
                    }
                }
            }
        }
        self.measure(&next);
    }

    /// The most cycles to the next check: blocks that check themselves end the way.
    fn measure(&mut self, next: &[Vec<usize>]) {
        // Without the edges to headers there are no loops: at most as many rounds as blocks.
        loop {
            let mut changed = false;
            for index in (0..self.blocks.len()).rev() {
                let further = self.further(&next[index]);
                let reach = self.blocks[index].cost + further;
                changed |= reach != self.blocks[index].reach;
                self.blocks[index].reach = reach;
            }
            if !changed {
                return;
            }
        }
    }

    /// Whether compiled code would be faster: there is a loop, or some length,
    /// and few instructions have to be stepped over.
    pub(crate) fn is_worthwhile(&self) -> bool {
        let mut all = self.blocks.iter().enumerate();
        let is_loop = all.any(|(index, block)| block.next().iter().any(|&to| to <= index));
        let compiled: u64 = self.blocks.iter().map(|block| block.count).sum();
        let insns: usize = self.blocks.iter().map(|block| block.insns.len()).sum();
        (is_loop || insns >= LONG) && 4 * compiled >= 3 * insns as u64
    }

    /// Whether the CPU is in a state for which this can be compiled.
    pub(crate) fn fits(&self, cpu: &Cpu) -> bool {
        let insns = self.blocks.iter().flat_map(|block| &block.insns);
        is_ready(cpu) || !insns.into_iter().any(|(_, insn)| needs_mxcsr(insn))
    }

    /// The most cycles behind a block with these successors.
    pub(crate) fn further(&self, next: &[usize]) -> u64 {
        let own = next.iter().map(|&index| &self.blocks[index]);
        own.filter(|block| !block.is_header)
            .map(|block| block.reach)
            .max()
            .unwrap_or(0)
    }
}
