//! How one operation leads to the next.
//!
//! A handler ends by calling the handler of the next operation, with the same arguments: an
//! optimising compiler makes a jump of that, so no stack is used, and each handler has a jump of
//! its own that the host can learn to predict. Where less is optimised ([`threaded_loop`], see
//! `build.rs`), with debug assertions, whose checks keep things on the stack (the workspace's
//! profiles have none here, those of the fuzz targets have), and for Miri, handlers return to a
//! loop instead.
//!
//! # Safety
//! All handlers have one contract, [`Handler`]'s: the operation is one of a block that lives, at
//! its place there, so that (unless it ends the block) another follows it; `env` is what
//! [`enter`] was given, exclusively borrowed for the stay, as is the CPU it leads to, and `cpu` is
//! derived from that; and RIP, the cycle
//! counter, RFLAGS and the counts of instructions are stale until somebody settles them.

use machine::cpu::insn::Rep;
use machine::cpu::{Cpu, Cx, Halt};

use crate::body::Body;
use crate::env::{Env, tag};
use crate::flags::Flags;
use crate::memory::{Bank, View};
use crate::op::{Link, Links, Op, Packed, Seen};
use crate::strings;

/// Goes on with an operation.
macro_rules! go {
    ($op:expr, $cpu:expr, $env:expr, $budget:expr, $flags:expr) => {{
        let op: *const Op = $op;
        let (cpu, budget, flags): (*mut Cpu, Packed, Flags) = ($cpu, $budget, $flags);
        #[cfg(not(any(threaded_loop, debug_assertions, miri)))]
        // SAFETY: who says `go!` vouches for the operation.
        unsafe {
            ((*op).run)(op, cpu, $env, budget, flags.res, flags.aux)
        }
        #[cfg(any(threaded_loop, debug_assertions, miri))]
        {
            let _ = cpu;
            // SAFETY: the surroundings are borrowed for the stay.
            let env = unsafe { &mut *$env };
            env.next = op;
            env.state = (budget, flags.res, flags.aux);
        }
    }};
}

/// Carries out operations from this one on, until one of them leaves.
///
/// # Safety
/// The operation is the first of a block that lives as long as the stay, and so do all blocks that
/// its links lead to while they have the tag of `env`.
pub(crate) unsafe fn enter(op: *const Op, env: &mut Env<'_>, budget: Packed, flags: Flags) {
    let env: *mut Env<'static> = core::ptr::from_mut(env).cast();
    // SAFETY: the surroundings have the CPU borrowed.
    go!(op, unsafe { cpu_of(env) }, env, budget, flags);
    #[cfg(any(threaded_loop, debug_assertions, miri))]
    loop {
        // SAFETY: nobody else uses the surroundings between two handlers.
        let (op, (budget, res, aux)) = unsafe {
            let op = core::mem::replace(&mut (*env).next, core::ptr::null());
            (op, (*env).state)
        };
        if op.is_null() {
            break;
        }
        // SAFETY: `go!` has left an operation that somebody vouched for.
        unsafe { ((*op).run)(op, cpu_of(env), env, budget, res, aux) }
    }
}

/// The CPU, after it was reached by another way.
///
/// # Safety
/// See the module.
#[inline(always)]
unsafe fn cpu_of(env: *mut Env<'static>) -> *mut Cpu {
    // SAFETY: the contract of handlers.
    unsafe { core::ptr::from_mut((*(*env).cx).cpu) }
}

/// An operation that leads to the following one.
///
/// # Safety
/// See the module.
pub(crate) unsafe fn straight<B: Body>(
    op: *const Op,
    cpu: *mut Cpu,
    env: *mut Env<'static>,
    budget: Packed,
    res: u64,
    aux: u64,
) {
    // SAFETY: the contract of handlers.
    let done = unsafe {
        let mut view = View::new(&mut *cpu, (*env).bank);
        B::run(&*op, &mut view, Flags { res, aux })
    };
    match done {
        // SAFETY: a straight operation is followed by another one.
        Some(flags) => go!(unsafe { op.add(1) }, cpu, env, budget, flags),
        // SAFETY: the same operation, and nothing has changed.
        None => unsafe { slow(op, cpu, env, budget, res, aux) },
    }
}

/// Where an operation that was a step of the reference interpreter leads: the next operation, the
/// budget behind it and the flags. None if the stay is over; the CPU stands at a boundary.
type Next = Option<(*const Op, Packed, Flags)>;

/// Any straight instruction, by way of the reference interpreter.
///
/// # Safety
/// See the module.
#[cold]
#[inline(never)]
pub(crate) unsafe fn slow(
    op: *const Op,
    _: *mut Cpu,
    env: *mut Env<'static>,
    budget: Packed,
    res: u64,
    aux: u64,
) {
    // SAFETY: the contract of handlers.
    let next = unsafe {
        let around = &mut *env;
        step(&*op, &mut *around.cx, around, budget, Flags { res, aux })
    };
    if let Some((next, budget, flags)) = next {
        // SAFETY: the contract of handlers.
        go!(next, unsafe { cpu_of(env) }, env, budget, flags)
    }
}

/// Brings the CPU to where this operation's instruction begins.
#[inline(always)]
fn settle(op: &Op, cx: &mut Cx<'_>, env: &Env<'_>, budget: Packed, flags: Flags) {
    let meta = &env.metas[op.meta as usize];
    cx.cpu.rip = meta.rip;
    cx.cpu.rflags = flags.put_into(cx.cpu.rflags);
    env.settle(cx, budget + meta.rest);
}

/// Steps over one straight instruction.
#[inline(never)]
fn step(op: &Op, cx: &mut Cx<'_>, env: &mut Env<'_>, budget: Packed, flags: Flags) -> Next {
    settle(op, cx, env, budget, flags);
    let retired = cx.cpu.retired;
    let metas = env.metas;
    if let Err(halt) = cx.step_known(&metas[op.meta as usize].insn) {
        env.halt = Some(halt);
        return None;
    }
    // It has not faulted, and the rest of the block is still what stands there.
    // A device may have asked for an interrupt, which comes before the next instruction.
    let undisturbed = cx.cpu.retired == retired + 1
        && !cx.wants_attention()
        && cx.is_ordinary()
        && tag(cx) == env.tag;
    if !undisturbed {
        // SAFETY: the stay has the CPU borrowed.
        return unsafe { env.resume(cx) };
    }
    let budget = env.budget(cx)? - metas[op.meta as usize + 1].rest;
    let flags = Flags::of(cx.cpu.rflags)?;
    // SAFETY: as when the surroundings were made.
    env.bank = unsafe { Bank::of(cx) };
    // A straight operation is followed by another one.
    let next = core::ptr::from_ref(op).wrapping_add(1);
    (budget >= 0).then_some((next, budget, flags))
}

/// The end of a block: an instruction that may change how the following ones execute.
///
/// # Safety
/// See the module.
pub(crate) unsafe fn end_with_step(
    op: *const Op,
    _: *mut Cpu,
    env: *mut Env<'static>,
    budget: Packed,
    res: u64,
    aux: u64,
) {
    // SAFETY: the contract of handlers.
    let next = unsafe {
        let around = &mut *env;
        step_to_boundary(&*op, &mut *around.cx, around, budget, Flags { res, aux })
    };
    if let Some((next, budget, flags)) = next {
        // SAFETY: the contract of handlers; the block was found under the tag of `env`.
        go!(next, unsafe { cpu_of(env) }, env, budget, flags)
    }
}

/// SYSCALL, or SYSRET to 64-bit code; `wide` is the address of the following instruction.
///
/// # Safety
/// See the module.
pub(crate) unsafe fn end_with_system_call<const RETURN: bool>(
    op: *const Op,
    cpu: *mut Cpu,
    env: *mut Env<'static>,
    budget: Packed,
    res: u64,
    aux: u64,
) {
    // SAFETY: the contract of handlers.
    let (this, around, cx) = unsafe { (&*op, &mut *env, &mut *(*env).cx) };
    let passes = match RETURN {
        true => cx.may_return_from_system(),
        false => cx.may_call_system(),
    };
    if !passes {
        // SAFETY: the contract of handlers, and nothing has changed.
        return unsafe { end_with_step(op, cpu, env, budget, res, aux) };
    }
    cx.cpu.rflags = Flags { res, aux }.put_into(cx.cpu.rflags);
    // The instruction was paid for with its block.
    around.settle(cx, budget);
    // SAFETY: the stay has the CPU borrowed.
    let next = unsafe {
        if RETURN {
            cx.return_from_system();
            around.resume(cx)
        } else {
            cx.call_system(this.wide);
            around.resume_ordinary(cx)
        }
    };
    if let Some((next, budget, flags)) = next {
        // SAFETY: the contract of handlers; the block was found under the tag of `env`.
        go!(next, unsafe { cpu_of(env) }, env, budget, flags)
    }
}

/// Steps over the last instruction of a block, whatever it changes.
#[inline(never)]
fn step_to_boundary(
    op: &Op,
    cx: &mut Cx<'_>,
    env: &mut Env<'_>,
    budget: Packed,
    flags: Flags,
) -> Next {
    settle(op, cx, env, budget, flags);
    let insn = &env.metas[op.meta as usize].insn;
    let result = match insn.rep {
        Rep::None => cx.step_known(insn),
        _ => exactly(cx, env),
    };
    if let Err(halt) = result {
        env.halt = Some(halt);
        return None;
    }
    if !cx.cpu.code64() {
        cx.cpu.rip &= 0xFFFF_FFFF;
    }
    // SAFETY: the stay has the CPU borrowed.
    unsafe { env.resume(cx) }
}

/// The end of a block: a string instruction with a REP prefix.
///
/// # Safety
/// See the module.
pub(crate) unsafe fn end_with_string(
    op: *const Op,
    _: *mut Cpu,
    env: *mut Env<'static>,
    budget: Packed,
    res: u64,
    aux: u64,
) {
    // SAFETY: the contract of handlers.
    let next = unsafe {
        let around = &mut *env;
        repeat(&*op, &mut *around.cx, around, budget, Flags { res, aux })
    };
    if let Some((next, budget, flags)) = next {
        // SAFETY: the contract of handlers; the block was found under the tag of `env`.
        go!(next, unsafe { cpu_of(env) }, env, budget, flags)
    }
}

/// One step, of an instruction that may pause.
#[cold]
#[inline(never)]
fn exactly(cx: &mut Cx<'_>, env: &mut Env<'_>) -> Result<(), Halt> {
    cx.step(env.code)
}

/// Goes on with a string instruction, to its end or to where it pauses.
#[inline(never)]
fn repeat(op: &Op, cx: &mut Cx<'_>, env: &mut Env<'_>, budget: Packed, flags: Flags) -> Next {
    settle(op, cx, env, budget, flags);
    let insn = &env.metas[op.meta as usize].insn;
    if let Err(halt) = strings::run(cx, insn, env.code) {
        env.halt = Some(halt);
        return None;
    }
    // SAFETY: the stay has the CPU borrowed.
    unsafe { env.resume(cx) }
}

/// The beginning of a block before which runs stop: see `Threaded::stop_at`.
///
/// # Safety
/// See the module.
pub(crate) unsafe fn stop(
    op: *const Op,
    _: *mut Cpu,
    env: *mut Env<'static>,
    budget: Packed,
    res: u64,
    aux: u64,
) {
    // SAFETY: the contract of handlers.
    let (this, cx, env) = unsafe { (&*op, &mut *(*env).cx, &mut *env) };
    settle(this, cx, env, budget, Flags { res, aux });
    env.stopped = true;
}

/// The end of a block: a jump, call or return whose way is not known yet.
///
/// # Safety
/// See the module.
#[cold]
#[inline(never)]
pub(crate) unsafe fn end_slowly(
    op: *const Op,
    cpu: *mut Cpu,
    env: *mut Env<'static>,
    budget: Packed,
    res: u64,
    aux: u64,
) {
    // SAFETY: the contract of handlers.
    unsafe { end_with_step(op, cpu, env, budget, res, aux) }
}

/// Which of an operation's two links: where a jump leads, or the following instruction.
#[inline(always)]
pub(crate) fn link(op: &Op, following: bool) -> *const Link {
    let first: *const Link = core::ptr::with_exposed_provenance(op.wide as usize);
    first.wrapping_add(usize::from(following))
}

/// Goes the way of a link, if it is known and the budget suffices.
///
/// # Safety
/// See the module; the link is one of a block that lives.
#[inline(always)]
pub(crate) unsafe fn follow(
    link: *const Link,
    cpu: *mut Cpu,
    env: *mut Env<'static>,
    budget: Packed,
    flags: Flags,
) {
    // SAFETY: the contract of handlers.
    let (way, around) = unsafe { (&*link, &mut *env) };
    let left = budget - way.cost.get();
    if way.tag.get() == around.tag && left >= 0 {
        // The link's tag vouches for the block.
        return go!(way.entry.get(), cpu, env, left, flags);
    }
    around.link = link;
    // SAFETY: the contract of handlers; the operation is not used.
    unsafe { look_up(core::ptr::null(), cpu, env, budget, flags.res, flags.aux) }
}

/// A link that has not been looked up, or not lately, or whose block costs too much.
///
/// # Safety
/// See the module; but the operation may be null.
#[cold]
#[inline(never)]
unsafe fn look_up(
    _: *const Op,
    _: *mut Cpu,
    env: *mut Env<'static>,
    budget: Packed,
    res: u64,
    aux: u64,
) {
    // SAFETY: the contract of handlers.
    let (cx, around) = unsafe { (&mut *(*env).cx, &mut *env) };
    // SAFETY: `follow` has left a link of a block that lives.
    let (way, seen) = unsafe { (&*around.link, Links::seen(around.link)) };
    let flags = Flags { res, aux };
    if let Some(left) = refresh((way, seen), cx, around, budget, flags) {
        // SAFETY: the contract of handlers.
        go!(way.entry.get(), unsafe { cpu_of(env) }, env, left, flags)
    }
}

/// Makes a link hold again if it leads where it led. Otherwise, or if the budget does not suffice,
/// the CPU stands there.
fn refresh(
    (way, seen): (&Link, &Seen),
    cx: &mut Cx<'_>,
    env: &mut Env<'_>,
    budget: Packed,
    flags: Flags,
) -> Option<Packed> {
    cx.cpu.rip = way.target;
    let known = way.tag.get() == env.tag || is_same(way, seen, cx);
    if known {
        way.tag.set(env.tag);
        env.link = core::ptr::null();
        let left = budget - way.cost.get();
        if left >= 0 {
            return Some(left);
        }
    }
    cx.cpu.rflags = flags.put_into(cx.cpu.rflags);
    env.settle(cx, budget);
    None
}

/// Whether the block that a link led to still stands where it leads.
fn is_same(way: &Link, seen: &Seen, cx: &Cx<'_>) -> bool {
    // Rights belong to the tag, which a link has once it has been looked up.
    way.tag.get() != 0
        && cx.known_code().is_some_and(|pa| {
            pa.0 == seen.pa.get() && cx.bus.ram.generation(pa) == seen.generation.get()
        })
}

/// Goes to an address that was found, if the budget suffices.
///
/// # Safety
/// See the module; entry and cost are those that the jump cache had for `target` under this tag.
#[inline(always)]
pub(crate) unsafe fn go_to(
    target: u64,
    (entry, cost): (*const Op, Packed),
    cpu: *mut Cpu,
    env: *mut Env<'static>,
    budget: Packed,
    flags: Flags,
) {
    let left = budget - cost;
    if left >= 0 {
        return go!(entry, cpu, env, left, flags);
    }
    // SAFETY: the contract of handlers.
    unsafe {
        (*cpu).rip = target;
        run_out(entry, cpu, env, budget, flags.res, flags.aux)
    }
}

/// The budget does not suffice for the block at RIP.
///
/// # Safety
/// See the module.
#[cold]
#[inline(never)]
unsafe fn run_out(
    _: *const Op,
    _: *mut Cpu,
    env: *mut Env<'static>,
    budget: Packed,
    res: u64,
    aux: u64,
) {
    // SAFETY: the contract of handlers.
    let (cx, env) = unsafe { (&mut *(*env).cx, &*env) };
    cx.cpu.rflags = Flags { res, aux }.put_into(cx.cpu.rflags);
    env.settle(cx, budget);
}
