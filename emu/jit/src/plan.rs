//! What is compiled at once: blocks that lead to each other.

use std::collections::VecDeque;

use machine::cpu::insn::{Insn, Op};
use machine::cpu::{Cpu, Cx};

use crate::emit::cost::cost;
use crate::emit::{is_native, is_ready, needs_mxcsr};
use crate::survey::{MOST_TARGETS, Page, Survey, static_target};

/// Instructions that are worth compiling without a loop.
const LONG: usize = 4;
/// The most return sites that a RET is compared with.
const MOST_RETURNS: usize = 6;

/// How a block ends. Places in the region's blocks are `Ok`, others addresses.
#[derive(Clone, Debug)]
pub(crate) enum End {
    /// It goes on there: by a jump, a call, or just so.
    Goto(Target),
    /// Jcc.
    Branch { taken: Target, other: Target },
    /// RET, perhaps to one of these.
    Return(Vec<(u64, usize)>),
    /// A jump or call through a register or memory, perhaps to one of these.
    Indirect(Vec<(u64, usize)>),
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
        let out = matches!(self.end, End::Indirect(_) | End::Goto(Target::Outside(_)));
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
            End::Return(sites) | End::Indirect(sites) => sites.iter().map(|site| site.1).collect(),
            End::Leave(_) => Vec::new(),
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

impl Plan {
    /// Looks at the code around the running instruction, as far as others do
    /// not have entries there; none if it is not code that can be compiled.
    pub(crate) fn new(cx: &mut Cx<'_>, is_entry: &dyn Fn(u64) -> bool) -> Option<Plan> {
        let root = cx.cpu.rip;
        let survey = Survey::new(cx, is_entry);
        let mut plan = form(&survey, root)?;
        plan.pages = survey.pages;
        for block in &mut plan.blocks {
            let native = block.insns.iter().filter(|(_, insn)| is_native(insn));
            block.count = native.clone().count() as u64;
            block.cost = native.map(|(_, insn)| cost(insn, cx.cost)).sum();
        }
        plan.arrange();
        Some(plan)
    }
}

/// Makes blocks of instructions.
fn form(survey: &Survey, root: u64) -> Option<Plan> {
    let former = Former {
        survey,
        starts: survey.starts(),
    };
    let root = former.starts.binary_search(&root).ok()?;
    let starts = former.starts.iter();
    let mut plan = Plan {
        blocks: starts.map(|start| former.block(*start)).collect(),
        pages: Vec::new(),
        has_loop: false,
    };
    plan.order(root, &former.starts);
    Some(plan)
}

/// Makes blocks of what was found.
struct Former<'s> {
    survey: &'s Survey,
    /// Where blocks begin, sorted.
    starts: Vec<u64>,
}

impl Former<'_> {
    fn block(&self, start: u64) -> Block {
        let mut block = Block {
            va: start,
            insns: Vec::new(),
            end: End::Leave(start),
            count: 0,
            cost: 0,
            reach: 0,
            is_header: false,
            comes_from: 0,
        };
        let mut at = start;
        while let Some((_, insn)) = self.survey.insns.get(&at) {
            if at != start && self.starts.binary_search(&at).is_ok() {
                block.end = End::Goto(self.target(at));
                return block;
            }
            block.insns.push((at, *insn));
            if let Some(end) = self.end(at, insn) {
                block.end = end;
                return block;
            }
            at = at.wrapping_add(u64::from(insn.len));
        }
        block.end = match self.survey.foreign.contains(&at) {
            true => End::Leave(at),
            // There was no room for more, or others have it.
            false => End::Goto(Target::Outside(at)),
        };
        block
    }

    fn target(&self, va: u64) -> Target {
        match self.starts.binary_search(&va) {
            Ok(index) => Target::Inside(index),
            Err(_) => Target::Outside(va),
        }
    }

    /// Those of these places that are in the region.
    fn inside(&self, targets: &[u64], most: usize) -> Vec<(u64, usize)> {
        let found = |va: &u64| Some((*va, self.starts.binary_search(va).ok()?));
        targets.iter().filter_map(found).take(most).collect()
    }

    fn end(&self, va: u64, insn: &Insn) -> Option<End> {
        Some(match (insn.op, static_target(va, insn)) {
            (Op::Jcc, Some(taken)) => End::Branch {
                taken: self.target(taken),
                other: self.target(va.wrapping_add(u64::from(insn.len))),
            },
            (Op::Jmp | Op::Call, Some(there)) => End::Goto(self.target(there)),
            (Op::Jmp | Op::Call, None) => {
                let targets = self.survey.tables.get(&va);
                let targets = targets.map_or(&[][..], Vec::as_slice);
                End::Indirect(self.inside(targets, MOST_TARGETS))
            }
            (Op::Ret, _) => End::Return(self.inside(&self.survey.returns, MOST_RETURNS)),
            _ => return None,
        })
    }
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
                End::Return(sites) | End::Indirect(sites) => {
                    sites.iter_mut().for_each(|site| site.1 = place[site.1]);
                }
                End::Leave(_) => {}
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
