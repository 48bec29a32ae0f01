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

/// Bytes that are looked at together.
const BLOCK: usize = 64;

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
        // An iteration may have reached a device.
        let over = cx.cpu.rip != rip || cx.cpu.cycle >= cx.deadline || cx.interrupt_due();
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

/// Elements that let a search go on.
fn scan(bank: Bank, at: u64, value: u64, size: usize, most: u64, rep: Rep) -> Option<u64> {
    let place = bank.readable(at)?;
    let bytes = &place.bytes()[..elements(&place, size, most) * size];
    let equal = rep == Rep::Repe;
    Some(match size {
        1 => scanned(bytes, u8::from_le_bytes, value as u8, equal),
        2 => scanned(bytes, u16::from_le_bytes, value as u16, equal),
        4 => scanned(bytes, u32::from_le_bytes, value as u32, equal),
        _ => scanned(bytes, u64::from_le_bytes, value, equal),
    })
}

/// How many elements at the beginning are like this one, or unlike it.
fn scanned<T: PartialEq + Copy, const N: usize>(
    bytes: &[u8],
    of: impl Fn([u8; N]) -> T,
    wanted: T,
    equal: bool,
) -> u64 {
    let elements = bytes.as_chunks::<N>().0;
    let stops = |element: &[u8; N]| (of(*element) == wanted) != equal;
    let blocks = elements.chunks_exact(BLOCK / N);
    let whole = blocks.take_while(|block| !block.iter().fold(false, |any, one| any | stops(one)));
    let first = whole.count() * (BLOCK / N);
    let rest = elements[first..].iter().take_while(|one| !stops(one));
    (first + rest.count()) as u64
}

/// Elements that let a comparison go on.
fn compare(bank: Bank, a: u64, b: u64, size: usize, most: u64, rep: Rep) -> Option<u64> {
    let (first, second) = (bank.readable(a)?, bank.readable(b)?);
    let len = elements(&first, size, most).min(elements(&second, size, most)) * size;
    let (first, second) = (&first.bytes()[..len], &second.bytes()[..len]);
    let equal = rep == Rep::Repe;
    Some(match size {
        1 => compared::<1>(first, second, equal),
        2 => compared::<2>(first, second, equal),
        4 => compared::<4>(first, second, equal),
        _ => compared::<8>(first, second, equal),
    })
}

/// How many elements at the beginning of both are alike, or unalike.
fn compared<const N: usize>(first: &[u8], second: &[u8], equal: bool) -> u64 {
    let blocks = first
        .as_chunks::<BLOCK>()
        .0
        .iter()
        .zip(second.as_chunks::<BLOCK>().0);
    let whole = blocks
        .take_while(|(one, other)| equal && one == other)
        .count()
        * BLOCK;
    let (first, second) = (first.as_chunks::<N>().0, second.as_chunks::<N>().0);
    let pairs = first.iter().zip(second).skip(whole / N);
    (whole / N
        + pairs
            .take_while(|(one, other)| (one == other) == equal)
            .count()) as u64
}
