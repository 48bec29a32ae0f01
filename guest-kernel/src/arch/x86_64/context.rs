//! What a task leaves on the CPU when another one runs, and the switch.

use core::arch::naked_asm;

use super::fpu::FpuState;
use super::trap::{self, TrapFrame, user_frame};
use super::{gdt, irq, msr, paging, percpu};

/// The CPU state of a task that is not running.
pub struct SavedCpu {
    /// The stack pointer at which it goes on.
    rsp: u64,
    /// The top of its kernel stack.
    pub stack_top: u64,
    /// Its top page table; 0 if it has none and borrows the last one's.
    pub root: u64,
    /// FS base in user mode.
    pub fs_base: u64,
    /// GS base in user mode.
    pub gs_base: u64,
    /// x87, SSE and AVX state, for tasks that run in user mode.
    pub fpu: Option<FpuState>,
}

/// What the switch leaves on the stack of the task that goes.
#[repr(C)]
struct SwitchFrame {
    r15: u64,
    r14: u64,
    r13: u64,
    r12: u64,
    rbp: u64,
    rbx: u64,
    rip: u64,
}

impl SavedCpu {
    /// The state of the code that is running, for the idle task.
    #[must_use]
    pub fn running(stack_top: u64) -> Self {
        SavedCpu {
            rsp: 0,
            stack_top,
            root: 0,
            fs_base: 0,
            gs_base: 0,
            fpu: None,
        }
    }

    /// A state that starts with `entry(argument)` on its own stack and goes to
    /// user mode with `frame` when that returns.
    ///
    /// # Safety
    /// The stack is the new task's alone, writable below `stack_top`.
    #[must_use]
    pub unsafe fn starting(
        stack_top: u64,
        frame: TrapFrame,
        entry: extern "C" fn(u64),
        argument: u64,
    ) -> Self {
        let user = user_frame(stack_top);
        let rsp = user as u64 - size_of::<SwitchFrame>() as u64;
        // SAFETY: by the caller.
        unsafe {
            user.write(frame);
            (rsp as *mut SwitchFrame).write(SwitchFrame {
                r15: 0,
                r14: 0,
                r13: argument,
                r12: entry as usize as u64,
                rbp: 0,
                rbx: 0,
                rip: trap::task_entry as *const () as u64,
            });
        }
        SavedCpu {
            rsp,
            ..SavedCpu::running(stack_top)
        }
    }
}

/// Leaves `prev` for `next`; returns when somebody switches back to `prev`.
///
/// # Safety
/// Interrupts are off; `prev` is what runs; `next` does not run anywhere and
/// was left by this function or made by [`SavedCpu::starting`]. Both live until
/// the switch back.
pub unsafe fn switch(prev: *mut SavedCpu, next: *mut SavedCpu) {
    // SAFETY: by the caller.
    unsafe {
        if let Some(fpu) = &mut (*prev).fpu {
            fpu.save();
        }
        load(&*next);
        switch_stacks(&raw mut (*prev).rsp, (*next).rsp);
    }
}

/// Loads all but registers and stack.
///
/// # Safety
/// As [`switch`].
unsafe fn load(next: &SavedCpu) {
    gdt::set_kernel_stack(next.stack_top);
    if let Some(fpu) = &next.fpu {
        if !crate::mutant!("fpu-is-nobodys") {
            fpu.load();
        }
        // SAFETY: user bases; the kernel does not use them.
        unsafe {
            msr::write(msr::FS_BASE, next.fs_base);
            msr::write(msr::KERNEL_GS_BASE, next.gs_base);
        }
    }
    if next.root == 0 && crate::mutant!("kthread-loads-page-tables") {
        // SAFETY: the kernel's own tables map the kernel.
        unsafe { paging::set_root(paging::kernel_root()) };
    }
    let differs = next.root != paging::root() || crate::mutant!("switch-always-flushes");
    if next.root != 0 && differs {
        // SAFETY: every task's tables map the kernel.
        unsafe { paging::set_root(next.root) };
    }
}

#[unsafe(naked)]
unsafe extern "C" fn switch_stacks(prev: *mut u64, next: u64) {
    naked_asm!(
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        "mov rsp, rsi",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
    )
}

/// The first thing a new task does: it ends the switch that brought it here.
pub(super) extern "C" fn started() {
    percpu::with(|cpu| cpu.irq_saved = true);
    crate::sched::finish_switch();
    debug_assert!(irq::enabled());
}
