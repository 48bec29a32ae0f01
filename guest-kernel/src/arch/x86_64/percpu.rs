//! What belongs to one CPU, reached through GS.
//!
//! In the kernel GS base is the address of the CPU's [`PerCpu`]; entries from
//! user mode swap it in before anything else. The entry code knows the first
//! fields by their offsets.

use core::arch::asm;
use core::cell::UnsafeCell;
use core::mem::offset_of;

use super::{clock, msr};

/// The most CPUs that the kernel has room for.
pub const MAX_CPUS: usize = 1;

/// One CPU's own data.
#[repr(C)]
pub struct PerCpu {
    this: *mut PerCpu,
    /// The user's stack pointer, between SYSCALL and the trap frame.
    user_rsp: u64,
    /// The top of the running task's kernel stack.
    kernel_rsp: u64,
    /// How many times interrupts were disabled and not yet restored.
    pub irq_depth: u32,
    /// Whether they were on before the first of those.
    pub irq_saved: bool,
    /// Set when the running task's time is over.
    pub need_resched: bool,
    /// This CPU's number.
    pub id: u32,
    /// The running task.
    pub task: u32,
    /// What the task room gave for the running task.
    pub payload: *const (),
    /// The cycle up to which the running task's time is counted.
    stamp: u64,
    /// Cycles in user mode that nobody has taken yet.
    user: u64,
    /// Cycles in the kernel.
    system: u64,
}

/// Offset of the user's stack pointer for the entry code.
pub const USER_RSP: usize = offset_of!(PerCpu, user_rsp);
/// Offset of the kernel stack's top for the entry code.
pub const KERNEL_RSP: usize = offset_of!(PerCpu, kernel_rsp);

struct Slots([UnsafeCell<PerCpu>; MAX_CPUS]);

// SAFETY: each CPU touches its own slot only.
unsafe impl Sync for Slots {}

static SLOTS: Slots = Slots(
    [const {
        UnsafeCell::new(PerCpu {
            this: core::ptr::null_mut(),
            user_rsp: 0,
            kernel_rsp: 0,
            irq_depth: 0,
            irq_saved: false,
            need_resched: false,
            id: 0,
            task: 0,
            payload: core::ptr::null(),
            stamp: 0,
            user: 0,
            system: 0,
        })
    }; MAX_CPUS],
);

/// Points GS at CPU `id`'s data.
///
/// # Safety
/// Once for each CPU, before anything that uses it, on that CPU.
pub unsafe fn init(id: u32) {
    let slot = SLOTS.0[id as usize].get();
    // SAFETY: nobody else uses the slot yet; GS base is the kernel's own.
    unsafe {
        (*slot).this = slot;
        (*slot).id = id;
        msr::write(msr::GS_BASE, slot as u64);
        msr::write(msr::KERNEL_GS_BASE, 0);
    }
}

fn this() -> *mut PerCpu {
    let this;
    // SAFETY: GS base points at a PerCpu whose first field is its own address.
    unsafe {
        asm!("mov {}, gs:[0]", out(reg) this, options(pure, readonly, nostack, preserves_flags))
    };
    this
}

/// Works on this CPU's data. Interrupts must be off, so that the caller
/// stays on this CPU and nobody else is at it.
pub fn with<R>(work: impl FnOnce(&mut PerCpu) -> R) -> R {
    debug_assert!(!super::irq::enabled());
    // SAFETY: interrupts are off, so this is the only access; `work` cannot
    // reach this function again with the reference alive unless it nests,
    // which no caller does.
    work(unsafe { &mut *this() })
}

/// The running task's number. Right for the caller whatever happens, because
/// a task that is moved or preempted is still the same task.
#[must_use]
pub fn task() -> u32 {
    let id: u32;
    // SAFETY: one load from this CPU's data.
    unsafe {
        asm!("mov {:e}, gs:[{}]", out(reg) id, const offset_of!(PerCpu, task),
             options(readonly, nostack, preserves_flags));
    }
    id
}

/// The running task's payload.
#[must_use]
pub fn payload() -> *const () {
    let payload;
    // SAFETY: one load from this CPU's data.
    unsafe {
        asm!("mov {}, gs:[{}]", out(reg) payload, const offset_of!(PerCpu, payload),
             options(readonly, nostack, preserves_flags));
    }
    payload
}

impl PerCpu {
    /// What has passed since the last look at the clock.
    fn lap(&mut self) -> u64 {
        let now = clock::cycles();
        now.saturating_sub(core::mem::replace(&mut self.stamp, now))
    }

    /// The kernel was entered from user mode.
    pub fn enter_kernel(&mut self) {
        self.user += self.lap();
    }

    /// The kernel is left for user mode.
    pub fn leave_kernel(&mut self) {
        self.system += self.lap();
    }

    /// Takes the cycles in user mode and in the kernel that have passed since
    /// this was last done. Called in the kernel.
    pub fn take_times(&mut self) -> (u64, u64) {
        self.leave_kernel();
        (
            core::mem::take(&mut self.user),
            core::mem::take(&mut self.system),
        )
    }

    /// Sets the stack on which SYSCALL continues.
    pub fn set_kernel_rsp(&mut self, top: u64) {
        self.kernel_rsp = top;
    }
}
