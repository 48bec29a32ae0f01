//! REP MOVS, STOS, SCAS and CMPS: as many iterations at once as lie in a page.
//!
//! The boundaries between iterations are boundaries like any other. A run of them ends where the
//! reference interpreter would pause, in the state in which it would; the last iteration, and those
//! that leave a page or reach one that is not known, are the reference interpreter's.

use machine::cost::Class;
use machine::cpu::insn::{Insn, Op as Name, Rep, Seg, Width};
use machine::cpu::state::flag;
use machine::cpu::{CodeCache, Cx, Halt};

use crate::env::tag;
use crate::memory::{Bank, Stretch};

const RAX: usize = 0;
const RCX: usize = 1;
const RSI: usize = 6;
const RDI: usize = 7;

/// Whether the instruction is one of those that go the fast way.
pub(crate) fn is_fast(insn: &Insn) -> bool {
    let plain = insn.rep != Rep::None && insn.mem.address == Width::Qword;
    let known = matches!(insn.op, Name::Movs | Name::Stos | Name::Scas | Name::Cmps);
    plain && known && !matches!(insn.mem.seg, Seg::Fs | Seg::Gs)
}

/// What an iteration costs besides its own class.
pub(crate) fn extras(op: Name) -> &'static [Class] {
    match op {
        Name::Movs => &[Class::Load, Class::Store],
        Name::Stos => &[Class::Store],
        Name::Cmps => &[Class::Load, Class::Load],
        _ => &[Class::Load],
    }
}

/// Goes on with the instruction at RIP, which is this one, to its end or to where it pauses.
pub(crate) fn run(cx: &mut Cx<'_>, insn: &Insn, code: &mut CodeCache) -> Result<(), Halt> {
    let (rip, known) = (cx.cpu.rip, tag(cx));
    loop {
        // Backwards, nothing is gained.
        if !cx.cpu.flag(flag::DF) {
            let count = at_once(cx, insn);
            skip(cx, insn, count);
        }
        if cx.cpu.cycle >= cx.deadline {
            return Ok(());
        }
        // One iteration: it pauses at the next boundary.
        let deadline = core::mem::replace(&mut cx.deadline, 0);
        let result = cx.step(code);
        cx.deadline = deadline;
        result?;
        let over = cx.cpu.rip != rip || cx.cpu.cycle >= cx.deadline;
        if over || cx.wants_attention() || tag(cx) != known {
            return Ok(());
        }
    }
}

/// Cycles of an iteration.
fn price(cx: &Cx<'_>, insn: &Insn) -> u64 {
    let extras = extras(insn.op).iter().map(|&class| cx.cost.cycles(class));
    cx.cost.cycles(insn.class) + extras.sum::<u64>()
}

/// Puts registers and clock where they are after these iterations, with more to come.
fn skip(cx: &mut Cx<'_>, insn: &Insn, count: u64) {
    if count == 0 {
        return;
    }
    let bytes = count * u64::from(insn.size.bytes());
    let gpr = &mut cx.cpu.gpr;
    gpr[RCX] -= count;
    gpr[RDI] = gpr[RDI].wrapping_add(bytes);
    if matches!(insn.op, Name::Movs | Name::Cmps) {
        gpr[RSI] = gpr[RSI].wrapping_add(bytes);
    }
    cx.cpu.cycle += count * price(cx, insn);
    cx.cpu.rep_iteration += count;
    cx.cpu.rflags |= flag::RF;
}

/// Carries out iterations that are not the last one, in one page and before the deadline, and
/// tells how many.
fn at_once(cx: &mut Cx<'_>, insn: &Insn) -> u64 {
    let left = cx.deadline.saturating_sub(cx.cpu.cycle);
    let most = left
        .div_ceil(price(cx, insn))
        .min(cx.cpu.gpr[RCX].saturating_sub(1));
    if most == 0 {
        return 0;
    }
    // SAFETY: it is used up before anything else is done with the `Cx`, which is borrowed mutably.
    let bank = unsafe { Bank::of(cx) };
    let (from, to, rax) = (cx.cpu.gpr[RSI], cx.cpu.gpr[RDI], cx.cpu.gpr[RAX]);
    let size = usize::from(insn.size.bytes());
    let count = match insn.op {
        Name::Movs => copy(bank, from, to, size, most),
        Name::Stos => fill(bank, to, rax, size, most),
        Name::Scas => scan(bank, to, rax, size, most, insn.rep),
        _ => compare(bank, from, to, size, most, insn.rep),
    };
    count.unwrap_or(0)
}

/// How many elements of a stretch there are, but no more than this.
fn elements(stretch: &Stretch, size: usize, most: u64) -> usize {
    (stretch.len() / size).min(usize::try_from(most).unwrap_or(usize::MAX))
}

fn copy(bank: Bank, from: u64, to: u64, size: usize, most: u64) -> Option<u64> {
    let (source, target) = (bank.readable(from)?, bank.writable(to)?);
    let count = elements(&source, size, most).min(elements(&target, size, most));
    target.copy_from(&source, count * size, size);
    Some(count as u64)
}

fn fill(bank: Bank, to: u64, value: u64, size: usize, most: u64) -> Option<u64> {
    let target = bank.writable(to)?;
    let count = elements(&target, size, most);
    target.fill(&value.to_le_bytes()[..size], count);
    Some(count as u64)
}

/// Elements that let a search or comparison go on.
fn scan(bank: Bank, at: u64, value: u64, size: usize, most: u64, rep: Rep) -> Option<u64> {
    let place = bank.readable(at)?;
    let count = elements(&place, size, most);
    let wanted = value & all_bits(size);
    let goes_on = |i: &usize| (place.element(i * size, size) == wanted) == (rep == Rep::Repe);
    Some((0..count).take_while(goes_on).count() as u64)
}

/// All bits of an element.
fn all_bits(size: usize) -> u64 {
    u64::MAX >> (64 - 8 * size.clamp(1, 8))
}

fn compare(bank: Bank, a: u64, b: u64, size: usize, most: u64, rep: Rep) -> Option<u64> {
    let (first, second) = (bank.readable(a)?, bank.readable(b)?);
    let count = elements(&first, size, most).min(elements(&second, size, most));
    let goes_on = |i: &usize| {
        let (a, b) = (
            first.element(i * size, size),
            second.element(i * size, size),
        );
        (a == b) == (rep == Rep::Repe)
    };
    Some((0..count).take_while(goes_on).count() as u64)
}
