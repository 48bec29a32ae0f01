//! The ends of blocks: jumps, calls and returns.
//!
//! # Safety
//! The handlers here have the contract of those in [`dispatch`](crate::dispatch).

use machine::cpu::Cpu;

use crate::body::alu::{self, combine};
use crate::body::stack::push;
use crate::dispatch::{end_slowly, follow, go_to, link, slow};
use crate::env::Env;
use crate::flags::{Flags, decrement};
use crate::memory::View;
use crate::op::{Op, Packed};
use crate::operand::{full, get, immediate, load, put, put_full};

const RSP: u8 = 4;

/// Declares handlers: their operation, CPU, surroundings, budget and flags are at hand.
macro_rules! handlers {
    ($($(#[$meta:meta])* $name:ident $(<$(const $param:ident: $kind:ty),*>)?
        ($op:ident, $cpu:ident, $env:ident, $budget:ident, $flags:ident) $body:block)*) => {$(
        $(#[$meta])*
        ///
        /// # Safety
        /// See the module.
        pub(crate) unsafe fn $name $(<$(const $param: $kind),*>)? (
            $op: *const Op,
            $cpu: *mut Cpu,
            $env: *mut Env<'static>,
            $budget: Packed,
            res: u64,
            aux: u64,
        ) {
            let $flags = Flags { res, aux };
            $body
        }
    )*};
}

/// The operation, and the CPU and memory, from a handler's arguments.
macro_rules! parts {
    ($op:ident, $cpu:ident, $env:ident) => {
        // SAFETY: the contract of handlers.
        unsafe { (&*$op, &mut View::new(&mut *$cpu, (*$env).bank)) }
    };
}

/// Goes the way of one of the operation's links.
macro_rules! follow {
    ($following:expr, $op:ident, $cpu:ident, $env:ident, $budget:ident, $flags:expr) => {
        // SAFETY: the contract of handlers; the links are the operation's.
        unsafe { follow(link(&*$op, $following), $cpu, $env, $budget, $flags) }
    };
}

/// Goes to an address, if it is known which block stands there; otherwise nothing is done, and the
/// reference interpreter takes the instruction. `$commit` is what else the instruction does.
macro_rules! go_to {
    ($target:expr, $commit:expr, $op:ident, $cpu:ident, $env:ident, $budget:ident, $flags:ident) => {{
        let target: u64 = $target;
        // SAFETY: the contract of handlers.
        let found = unsafe { (*$env).jumps.find(target, (*$env).tag) };
        match found.and_then(|found| $commit.map(|()| found)) {
            // SAFETY: the contract of handlers, and what was found.
            Some(found) => unsafe { go_to(target, found, $cpu, $env, $budget, $flags) },
            // SAFETY: the contract of handlers, and nothing has changed.
            None => unsafe { end_slowly($op, $cpu, $env, $budget, $flags.res, $flags.aux) },
        }
    }};
}

/// The same where the address may not be known.
macro_rules! go_to_some {
    ($target:expr, $commit:expr, $op:ident, $cpu:ident, $env:ident, $budget:ident, $flags:ident) => {
        match $target {
            Some(target) => {
                go_to!(target, $commit, $op, $cpu, $env, $budget, $flags)
            }
            // SAFETY: the contract of handlers, and nothing has changed.
            None => unsafe { end_slowly($op, $cpu, $env, $budget, $flags.res, $flags.aux) },
        }
    };
}

handlers! {
    /// No instruction: the block was long enough.
    fall(op, cpu, env, budget, flags) {
        follow!(true, op, cpu, env, budget, flags)
    }

    /// JMP to a fixed place.
    jump(op, cpu, env, budget, flags) {
        follow!(false, op, cpu, env, budget, flags)
    }

    /// Jcc.
    branch<const C: u8>(op, cpu, env, budget, flags) {
        if flags.condition::<C>() {
            follow!(false, op, cpu, env, budget, flags)
        } else {
            follow!(true, op, cpu, env, budget, flags)
        }
    }

    /// CALL of a fixed place; the immediate is the instruction's length.
    call(op, cpu, env, budget, flags) {
        let (_, view) = parts!(op, cpu, env);
        // SAFETY: the contract of handlers; the links are the operation's.
        let back = unsafe { (*link(&*op, true)).target };
        match push(view, back) {
            Some(()) => follow!(false, op, cpu, env, budget, flags),
            // SAFETY: the contract of handlers, and nothing has changed.
            None => unsafe { end_slowly(op, cpu, env, budget, flags.res, flags.aux) },
        }
    }

    /// CALL of an address in a register.
    call_register(op, cpu, env, budget, flags) {
        let (this, view) = parts!(op, cpu, env);
        // SAFETY: the contract of handlers; the links are the operation's.
        let back = unsafe { (*link(this, true)).target };
        go_to!(full(view, this.src), push(view, back), op, cpu, env, budget, flags)
    }

    /// CALL of an address in memory.
    call_memory<const A: u8>(op, cpu, env, budget, flags) {
        let (this, view) = parts!(op, cpu, env);
        // SAFETY: the contract of handlers.
        let metas = unsafe { (*env).metas };
        let meta = &metas[this.meta as usize];
        let back = meta.rip.wrapping_add(u64::from(meta.insn.len));
        go_to_some!(load::<8, A>(this, view), push(view, back), op, cpu, env, budget, flags)
    }

    /// JMP to an address in a register.
    jump_register(op, cpu, env, budget, flags) {
        let (this, view) = parts!(op, cpu, env);
        go_to!(full(view, this.src), Some(()), op, cpu, env, budget, flags)
    }

    /// JMP to an address in memory.
    jump_memory<const A: u8>(op, cpu, env, budget, flags) {
        let (this, view) = parts!(op, cpu, env);
        go_to_some!(load::<8, A>(this, view), Some(()), op, cpu, env, budget, flags)
    }

    /// RET; the immediate is what it gives back besides its own word.
    ret(op, cpu, env, budget, flags) {
        let (this, view) = parts!(op, cpu, env);
        let sp = full(view, RSP);
        let target = view.read::<8>(sp);
        let up = 8 + u64::from(this.imm as u32);
        go_to_some!(target, release(view, sp.wrapping_add(up)), op, cpu, env, budget, flags)
    }

    /// CMP, TEST and their like of registers or an immediate, and Jcc behind it.
    fused<const K: u8, const W: usize, const IMM: bool, const C: u8>(op, cpu, env, budget, flags) {
        let (this, view) = parts!(op, cpu, env);
        let b = match IMM {
            true => immediate::<W>(this),
            false => get::<W>(view, this.src),
        };
        let (result, new) = combine::<K, W>(get::<W>(view, this.dst), b, flags);
        if K != alu::CMP && K != alu::TEST {
            put::<W>(view, this.dst, result);
        }
        if new.condition::<C>() {
            follow!(false, op, cpu, env, budget, new)
        } else {
            follow!(true, op, cpu, env, budget, new)
        }
    }

    /// CMP of memory, and the Jcc behind it, whose operation has the links.
    fused_memory<const W: usize, const A: u8, const IMM: bool, const C: u8>(op, cpu, env, budget, flags) {
        let (this, view) = parts!(op, cpu, env);
        let b = match IMM {
            true => immediate::<W>(this),
            false => get::<W>(view, this.src),
        };
        let Some(a) = load::<W, A>(this, view) else {
            // SAFETY: the contract of handlers, and nothing has changed.
            return unsafe { slow(op, cpu, env, budget, flags.res, flags.aux) };
        };
        let (_, new) = combine::<{ alu::CMP }, W>(a, b, flags);
        // SAFETY: the jump's own operation follows.
        let jump = unsafe { op.add(1) };
        if new.condition::<C>() {
            follow!(false, jump, cpu, env, budget, new)
        } else {
            follow!(true, jump, cpu, env, budget, new)
        }
    }

    /// DEC of a register, and Jcc behind it.
    count_down<const W: usize, const C: u8>(op, cpu, env, budget, flags) {
        let (this, view) = parts!(op, cpu, env);
        let (result, new) = decrement::<W>(get::<W>(view, this.dst), flags);
        put::<W>(view, this.dst, result);
        if new.condition::<C>() {
            follow!(false, op, cpu, env, budget, new)
        } else {
            follow!(true, op, cpu, env, budget, new)
        }
    }
}

/// Moves the stack pointer, which cannot fail.
#[inline(always)]
fn release(cx: &mut View<'_>, sp: u64) -> Option<()> {
    put_full(cx, RSP, sp);
    Some(())
}
