//! Signals: handlers, masks, sending.

use core::arch::naked_asm;
use core::ffi::c_void;

use linux_raw_sys::general::{
    __NR_kill, __NR_rt_sigaction, __NR_rt_sigprocmask, __NR_rt_sigreturn, __NR_sigaltstack,
    __NR_tgkill, SA_RESTORER,
};

use crate::errno::Result;
use crate::sys::call;

pub use linux_raw_sys::general::{
    SA_NODEFER, SA_ONSTACK, SA_RESETHAND, SA_RESTART, SA_SIGINFO, SIG_BLOCK, SIG_SETMASK,
    SIG_UNBLOCK, SIGABRT, SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGQUIT, SIGSEGV,
    SIGTERM, SIGUSR1, SIGUSR2,
};

/// A handler: signal, its information, the interrupted context.
pub type Handler = extern "C" fn(i32, *const Info, *mut c_void);

/// The start of `siginfo_t`, as faults and `kill` fill it.
#[repr(C)]
pub struct Info {
    /// The signal.
    pub signo: i32,
    /// Always 0 here.
    pub errno: i32,
    /// Where it comes from.
    pub code: i32,
    pad: i32,
    /// The faulting address, for a fault.
    pub address: usize,
}

/// What happens when a signal arrives, in the layout of `rt_sigaction`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct Action {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}

impl Action {
    /// The default action.
    pub const DEFAULT: Action = Action {
        handler: 0,
        flags: 0,
        restorer: 0,
        mask: 0,
    };
    /// Ignored.
    pub const IGNORE: Action = Action {
        handler: 1,
        ..Action::DEFAULT
    };

    /// A handler with SA_* flags.
    #[must_use]
    pub fn handler(handler: Handler, flags: u32) -> Action {
        Action {
            handler: handler as usize,
            flags: u64::from(flags | SA_RESTORER | SA_SIGINFO),
            restorer: restore as *const () as usize,
            mask: 0,
        }
    }

    /// True for [`Action::IGNORE`].
    #[must_use]
    pub fn is_ignore(&self) -> bool {
        self.handler == 1
    }

    /// True for [`Action::DEFAULT`].
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.handler == 0
    }
}

/// Where a handler returns to: it gives the interrupted context back.
#[unsafe(naked)]
extern "C" fn restore() -> ! {
    naked_asm!("mov eax, {nr}", "syscall", "ud2", nr = const __NR_rt_sigreturn)
}

/// The set with this one signal.
#[must_use]
pub const fn bit(signal: u32) -> u64 {
    1 << (signal - 1)
}

/// `rt_sigaction`: sets the action and gives the one before.
///
/// # Errors
/// As sigaction(2).
pub fn set_action(signal: u32, action: &Action) -> Result<Action> {
    let mut old = Action::default();
    let new: *const Action = action;
    let args = [
        signal as usize,
        new as usize,
        &raw mut old as usize,
        size_of::<u64>(),
        0,
        0,
    ];
    // SAFETY: the kernel reads one action and writes another.
    unsafe { call(__NR_rt_sigaction, args) }?;
    Ok(old)
}

/// `rt_sigprocmask`: changes the mask and gives the one before.
///
/// # Errors
/// As sigprocmask(2).
pub fn change_mask(how: u32, set: u64) -> Result<u64> {
    let mut old = 0u64;
    let args = [
        how as usize,
        &raw const set as usize,
        &raw mut old as usize,
        size_of::<u64>(),
        0,
        0,
    ];
    // SAFETY: the kernel reads one set and writes another.
    unsafe { call(__NR_rt_sigprocmask, args) }?;
    Ok(old)
}

/// `kill`: to a whole thread group.
///
/// # Errors
/// As kill(2).
pub fn kill(pid: i32, signal: u32) -> Result<()> {
    // SAFETY: numbers only.
    unsafe {
        call(
            __NR_kill,
            [pid as isize as usize, signal as usize, 0, 0, 0, 0],
        )
    }
    .map(drop)
}

/// `tgkill`: to one task.
///
/// # Errors
/// As tgkill(2).
pub fn tgkill(tgid: i32, tid: i32, signal: u32) -> Result<()> {
    let args = [
        tgid as isize as usize,
        tid as isize as usize,
        signal as usize,
        0,
        0,
        0,
    ];
    // SAFETY: numbers only.
    unsafe { call(__NR_tgkill, args) }.map(drop)
}

/// `stack_t`
#[repr(C)]
struct AltStack {
    address: usize,
    flags: i32,
    size: usize,
}

/// `sigaltstack`: handlers with SA_ONSTACK run there from now on.
///
/// # Errors
/// As sigaltstack(2).
pub fn set_alternate_stack(stack: &crate::map::Stack) -> Result<()> {
    let stack = AltStack {
        address: stack.base(),
        flags: 0,
        size: stack.size(),
    };
    // SAFETY: the kernel reads one stack_t; the stack is mapped for good.
    unsafe { call(__NR_sigaltstack, [&raw const stack as usize, 0, 0, 0, 0, 0]) }.map(drop)
}
