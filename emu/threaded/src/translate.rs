//! From the instructions of a block to its operations.

use alloc::boxed::Box;
use alloc::vec::Vec;

use machine::CostModel;
use machine::addr::VirtAddr;
use machine::cost::Class;
use machine::cpu::insn::{Family, Insn, Op as Name, Operand, Width};
use machine::engine::block::{Block, is_straight};

use crate::body::alu;
use crate::control;
use crate::dead::Dead;
use crate::dispatch::{end_with_step, end_with_string, end_with_system_call, stop};
use crate::op::{Handler, Links, Meta, Op, Packed, Store, packed};
use crate::operand::{FAR, NEAR};
use crate::pair;
use crate::pieces::Pieces;
use crate::select::{by_condition, by_mode, by_wide, by_width, memory, plain, register, select};
use crate::strings;

/// The operations of one block.
#[derive(Debug)]
pub(crate) struct Code {
    /// They are reached through pointers, so they stay where they are.
    pub(crate) ops: Box<[Op]>,
    /// What the block is charged on entry.
    pub(crate) cost: Packed,
    /// Whether it begins with a string instruction that can go on where it paused.
    pub(crate) resumes: bool,
    /// What its first operation would do if it did not stop runs.
    instead: Option<Handler>,
    /// Its linear address, and whether it runs with the rights of CPL 3.
    pub(crate) place: (u64, bool),
}

impl Code {
    /// Has the block stop runs before it begins, or do what it was made for.
    pub(crate) fn keep_stop(&mut self, on: bool) {
        let Some(first) = self.ops.first_mut() else {
            return;
        };
        match (on, self.instead) {
            (true, None) => self.instead = Some(core::mem::replace(&mut first.run, stop)),
            (false, Some(run)) => {
                first.run = run;
                self.instead = None;
            }
            _ => {}
        }
    }
}

/// Translates a block that stands at `rip`; the instructions go to the end of `metas`,
/// and what it leads to into `store`.
pub(crate) fn translate(
    block: &Block,
    rip: u64,
    cost: CostModel,
    metas: &mut Pieces<Meta>,
    store: &mut Store,
) -> Code {
    let first = metas.len() as u32;
    let mut ops = Vec::with_capacity(block.insns.len() + 1);
    let mut costs = Vec::with_capacity(block.insns.len() + 1);
    let mut at = rip;
    let dead = Dead::of(&block.insns);
    let mut paired = false;
    for (i, insn) in block.insns.iter().enumerate() {
        let next = at.wrapping_add(u64::from(insn.len));
        let meta = first + i as u32;
        let extras = match core::mem::take(&mut paired) {
            true => &[],
            false => {
                let pair = pair_at(block, i, meta, &dead);
                paired = pair.is_some();
                let (op, extras) = pair.map_or_else(
                    || single(&block.insns[i], meta, next, dead.before(i + 1)),
                    |op| (op, &[][..]),
                );
                ops.push(op);
                extras
            }
        };
        let extras: u64 = extras.iter().map(|&class| cost.cycles(class)).sum();
        costs.push(cost.cycles(insn.class) + extras);
        metas.push(Meta {
            insn: *insn,
            rip: at,
            rest: 0,
        });
        at = next;
    }
    let place = store.keep(links(block, at));
    finish(block, ops, &costs, place, at, metas)
}

/// The operation of one instruction, and what it costs besides its own class.
fn single(insn: &Insn, meta: u32, next: u64, silent: bool) -> (Op, &'static [Class]) {
    if !is_straight(insn) {
        return end(insn, meta, next);
    }
    let choice = select(insn, meta, next, silent);
    (choice.op, choice.extras)
}

/// The operation of this instruction and the next, unless that one is wanted for the jump behind
/// it. Neither reaches memory.
fn pair_at(block: &Block, i: usize, meta: u32, dead: &Dead) -> Option<Op> {
    let [first, second, rest @ ..] = block.insns.get(i..)? else {
        return None;
    };
    if first.op != Name::Mov {
        return None;
    }
    let wanted = rest.len() == 1 && is_fused(block);
    pair::select(first, second, meta, dead.before(i + 2)).filter(|_| !wanted)
}

/// Where the block's end leads.
fn links(block: &Block, end: u64) -> Links {
    let target = block.insns.last().and_then(|last| target(last, end));
    Links::to(target.unwrap_or(end), end)
}

/// Puts links and costs into their places, and an end behind a block without one.
fn finish(
    block: &Block,
    mut ops: Vec<Op>,
    costs: &[u64],
    place: u64,
    end: u64,
    metas: &mut Pieces<Meta>,
) -> Code {
    let first = metas.len() - costs.len();
    fuse(block, &mut ops);
    if let Some(last) = ops.last_mut() {
        match block.insns.last() {
            Some(insn) if !is_straight(insn) => {
                if has_links(insn) {
                    last.wide = place;
                }
            }
            _ => {
                let mut fall = plain(control::fall, metas.len() as u32);
                fall.wide = place;
                ops.push(fall);
                // Only its cost, which is none, is ever asked for.
                let mut meta = metas[metas.len() - 1].clone();
                meta.rip = end;
                metas.push(meta);
            }
        }
        let count = block.insns.len();
        if let [.., before, _] = &mut ops[..]
            && is_fused(block)
            && count >= 2
        {
            before.wide = place;
        }
    }
    let mut rest = 0;
    for (i, cost) in costs.iter().enumerate().rev() {
        rest += packed(*cost, 1);
        metas[first + i].rest = rest;
    }
    Code {
        ops: ops.into_boxed_slice(),
        cost: rest,
        instead: None,
        place: (0, false),
        resumes: block.insns.first().is_some_and(strings::is_fast),
    }
}

/// The target of a jump or call to a fixed place, which ends at `end`.
fn target(insn: &Insn, end: u64) -> Option<u64> {
    let Operand::Imm(distance) = insn.operands[0] else {
        return None;
    };
    let target = end.wrapping_add(distance);
    let near = matches!(insn.op, Name::Jmp | Name::Jcc | Name::Call);
    let plain = insn.size == Width::Qword && VirtAddr(target).is_canonical();
    (near && plain && VirtAddr(end).is_canonical()).then_some(target)
}

/// Whether the end's operation has the place of the links in `wide`.
fn has_links(insn: &Insn) -> bool {
    match insn.op {
        Name::Jmp | Name::Jcc => matches!(insn.operands[0], Operand::Imm(_)),
        Name::Call => insn.operands[0] != Operand::Mem,
        _ => false,
    }
}

/// The operation of an instruction that ends a block.
fn end(insn: &Insn, meta: u32, next: u64) -> (Op, &'static [Class]) {
    if strings::is_fast(insn) {
        return (plain(end_with_string, meta), strings::extras(insn.op));
    }
    jump(insn, meta, next).unwrap_or((plain(end_with_step, meta), &[]))
}

fn jump(insn: &Insn, meta: u32, next: u64) -> Option<(Op, &'static [Class])> {
    if let Some(run) = system_call(insn) {
        let mut op = plain(run, meta);
        op.wide = next;
        return Some((op, &[]));
    }
    if insn.family != Family::Control || insn.size != Width::Qword {
        return None;
    }
    let first = insn.operands[0];
    let fixed = target(insn, next);
    let mut op = plain(end_with_step, meta);
    let extras: &[Class] = match insn.op {
        Name::Jmp if fixed.is_some() => {
            op.run = control::jump;
            &[]
        }
        Name::Jmp if first == Operand::Mem => {
            let mode = memory(&mut op, &insn.mem, next)?;
            op.run = by_mode!(mode, A => control::jump_memory::<A> as Handler);
            &[Class::Load]
        }
        Name::Jmp => {
            op.src = register(first)?;
            op.run = control::jump_register;
            &[]
        }
        Name::Jcc => {
            fixed?;
            op.run = by_condition!(insn.condition, C => control::branch::<C> as Handler);
            &[]
        }
        Name::Call if fixed.is_some() => {
            op.run = control::call;
            &[Class::Store]
        }
        Name::Call if first == Operand::Mem => {
            let mode = memory(&mut op, &insn.mem, next)?;
            op.run = by_mode!(mode, A => control::call_memory::<A> as Handler);
            &[Class::Load, Class::Store]
        }
        Name::Call => {
            op.src = register(first)?;
            op.run = control::call_register;
            &[Class::Store]
        }
        Name::Ret => {
            op.imm = match first {
                Operand::Imm(bytes) => (bytes & 0xFFFF) as i32,
                _ => 0,
            };
            op.run = control::ret;
            &[Class::Load]
        }
        _ => return None,
    };
    Some((op, extras))
}

fn system_call(insn: &Insn) -> Option<Handler> {
    match insn.op {
        Name::Syscall => Some(end_with_system_call::<false>),
        Name::Sysret if insn.size == Width::Qword => Some(end_with_system_call::<true>),
        _ => None,
    }
}

/// Whether the last two instructions are a comparison and the jump on it, in one operation.
fn is_fused(block: &Block) -> bool {
    let [.., before, last] = &block.insns[..] else {
        return false;
    };
    fused(before, last).is_some()
}

/// Gives the last comparison the handler that jumps as well; the jump's own operation stays behind
/// it.
fn fuse(block: &Block, ops: &mut [Op]) {
    if let [.., before, last] = &block.insns[..]
        && let [.., op, _] = ops
        && let Some(run) = fused(before, last).or_else(|| fused_on_memory(before, last, op))
    {
        op.run = run;
    }
}

/// The same for a comparison of memory: `op` is the comparison's own operation. The links stay in
/// the jump's.
fn fused_on_memory(before: &Insn, last: &Insn, op: &Op) -> Option<Handler> {
    let near = last.op == Name::Jcc && last.size == Width::Qword;
    let first = before.operands[0] == Operand::Mem && before.op == Name::Cmp;
    let known = before.mem.address == Width::Qword && op.seg == 0;
    if !(near && first && known) {
        return None;
    }
    let immediate = match before.operands[1] {
        Operand::Imm(_) => true,
        second => register(second).map(|_| false)?,
    };
    let near = op.base_mask != 0 && op.index_mask == 0;
    let code = last.condition;
    by_wide!(before.size, W => by_condition!(code, C => match (near, immediate) {
        (true, true) => control::fused_memory::<W, NEAR, true, C> as Handler,
        (true, false) => control::fused_memory::<W, NEAR, false, C> as Handler,
        (false, true) => control::fused_memory::<W, FAR, true, C> as Handler,
        (false, false) => control::fused_memory::<W, FAR, false, C> as Handler,
    }))
}

fn fused(before: &Insn, last: &Insn) -> Option<Handler> {
    let near = last.op == Name::Jcc && last.size == Width::Qword;
    let [first, second, ..] = before.operands;
    register(first).filter(|_| near && before.family == Family::Alu)?;
    let immediate = match second {
        Operand::Imm(_) => true,
        Operand::None => return counted(before, last),
        _ => register(second).map(|_| false)?,
    };
    match before.op {
        Name::Cmp => compared::<{ alu::CMP }>(before.size, immediate, last.condition),
        Name::Test => compared::<{ alu::TEST }>(before.size, immediate, last.condition),
        Name::Sub => common::<{ alu::SUB }>(before.size, immediate, last.condition),
        Name::Add => common::<{ alu::ADD }>(before.size, immediate, last.condition),
        Name::And => common::<{ alu::AND }>(before.size, immediate, last.condition),
        _ => None,
    }
}

fn compared<const K: u8>(width: Width, immediate: bool, code: u8) -> Option<Handler> {
    let run = by_width!(width, W => by_condition!(code, C => match immediate {
        true => control::fused::<K, W, true, C> as Handler,
        false => control::fused::<K, W, false, C> as Handler,
    }));
    Some(run)
}

fn common<const K: u8>(width: Width, immediate: bool, code: u8) -> Option<Handler> {
    by_wide!(width, W => by_condition!(code, C => match immediate {
        true => control::fused::<K, W, true, C> as Handler,
        false => control::fused::<K, W, false, C> as Handler,
    }))
}

fn counted(before: &Insn, last: &Insn) -> Option<Handler> {
    if before.op != Name::Dec {
        return None;
    }
    by_wide!(before.size, W => by_condition!(last.condition, C =>
        control::count_down::<W, C> as Handler))
}
