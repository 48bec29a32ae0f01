//! Tasks: clone and its relatives, exec, exit, wait.

use core::arch::asm;
use core::ffi::{CStr, c_char};
use core::ptr;

use linux_raw_sys::general::{
    __NR_clone, __NR_clone3, __NR_execve, __NR_exit, __NR_exit_group, __NR_wait4, clone_args,
};

use crate::errno::Result;
use crate::map::Stack;
use crate::sys::{call, check};

pub use linux_raw_sys::general::{
    __WALL, __WCLONE, CLONE_CHILD_CLEARTID, CLONE_CHILD_SETTID, CLONE_DETACHED, CLONE_FILES,
    CLONE_FS, CLONE_PARENT, CLONE_PARENT_SETTID, CLONE_SETTLS, CLONE_SIGHAND, CLONE_SYSVSEM,
    CLONE_THREAD, CLONE_VFORK, CLONE_VM, WNOHANG,
};

/// What a new task runs; its result is the task's exit status.
pub type Entry = extern "C" fn(usize) -> i32;

/// Everything that `clone` takes. What is not needed is zero.
#[derive(Clone, Copy)]
pub struct Clone {
    /// CLONE_* flags, and the exit signal in the low byte.
    pub flags: u32,
    /// Top of the child's stack; 0 lets it go on with the caller's, which is
    /// its own copy without CLONE_VM, and the sleeping caller's with CLONE_VFORK.
    pub stack_top: usize,
    /// Where CLONE_PARENT_SETTID writes.
    pub parent_tid: usize,
    /// Where CLONE_CHILD_SETTID and CLONE_CHILD_CLEARTID write.
    pub child_tid: usize,
    /// The FS base for CLONE_SETTLS.
    pub tls: usize,
}

impl Clone {
    /// Flags and nothing else.
    #[must_use]
    pub fn flags(flags: u32) -> Self {
        Clone {
            flags,
            stack_top: 0,
            parent_tid: 0,
            child_tid: 0,
            tls: 0,
        }
    }

    /// Flags and a stack.
    #[must_use]
    pub fn on_stack(flags: u32, stack: &Stack) -> Self {
        Clone {
            stack_top: stack.top(),
            ..Clone::flags(flags)
        }
    }

    /// Creates a task that runs `entry(arg)` and exits (alone) with its result;
    /// gives the new task's id.
    ///
    /// # Errors
    /// As clone(2).
    ///
    /// # Safety
    /// With CLONE_VM, a stack of its own or CLONE_VFORK as well; what `entry`
    /// touches lives as long as the child runs.
    pub unsafe fn run(&self, entry: Entry, arg: usize) -> Result<i32> {
        let ret: isize;
        // SAFETY: the caller continues below with all registers kept but rax,
        // rcx and r11. The child does not come back: it calls `entry` on an
        // aligned stack, below everything that the caller still needs, and exits.
        unsafe {
            asm!(
                "syscall",
                "test rax, rax",
                "jnz 2f",
                "xor ebp, ebp",
                "mov rdi, r13",
                "call r12",
                "mov edi, eax",
                "mov eax, {exit}",
                "syscall",
                "ud2",
                "2:",
                exit = const __NR_exit,
                inlateout("rax") __NR_clone as isize => ret,
                in("rdi") self.flags as usize, in("rsi") self.stack_top, in("rdx") self.parent_tid,
                in("r10") self.child_tid, in("r8") self.tls,
                in("r12") entry, in("r13") arg,
                lateout("rcx") _, lateout("r11") _,
            );
        }
        check(ret).map(|pid| pid as i32)
    }
}

/// `fork`: 0 in the child, which has its own copy of everything.
///
/// # Errors
/// As fork(2).
pub fn fork() -> Result<i32> {
    let sigchld = linux_raw_sys::general::SIGCHLD as usize;
    // SAFETY: the child goes on with a copy of this memory, this stack included.
    unsafe { call(__NR_clone, [sigchld, 0, 0, 0, 0, 0]) }.map(|pid| pid as i32)
}

/// `clone3` without a stack and without CLONE_VM: 0 in the child.
///
/// # Errors
/// As clone3(2).
pub fn clone3(flags: u64, exit_signal: u64) -> Result<i32> {
    // SAFETY: all fields are numbers, for which zero is "not given".
    let mut args: clone_args = unsafe { core::mem::zeroed() };
    args.flags = flags & !u64::from(CLONE_VM);
    args.exit_signal = exit_signal;
    let size = size_of::<clone_args>();
    // SAFETY: the kernel reads `size` bytes; the child has its own copy of this memory.
    unsafe { call(__NR_clone3, [&raw const args as usize, size, 0, 0, 0, 0]) }.map(|pid| pid as i32)
}

/// Runs another program in this task; returns only if it could not.
#[must_use]
pub fn exec(path: &CStr, argv: &[&CStr], envp: *const *const c_char) -> crate::errno::Errno {
    const MOST: usize = 64;
    let mut pointers = [ptr::null::<c_char>(); MOST + 1];
    if argv.len() > MOST {
        return crate::errno::Errno::E2BIG;
    }
    for (place, text) in pointers.iter_mut().zip(argv) {
        *place = text.as_ptr();
    }
    exec_pointers(path, pointers.as_ptr(), envp)
}

/// [`exec`] with the arguments as the kernel wants them.
#[must_use]
pub fn exec_pointers(
    path: &CStr,
    argv: *const *const c_char,
    envp: *const *const c_char,
) -> crate::errno::Errno {
    let args = [
        path.as_ptr() as usize,
        argv as usize,
        envp as usize,
        0,
        0,
        0,
    ];
    // SAFETY: the kernel reads strings and null-ended lists of them; bad ones are EFAULT.
    match unsafe { call(__NR_execve, args) } {
        Err(errno) => errno,
        // execve returns errors only.
        Ok(_) => crate::errno::Errno::EINVAL,
    }
}

/// `exit_group`: ends the whole thread group.
pub fn exit(status: i32) -> ! {
    loop {
        // SAFETY: nothing of ours runs afterwards.
        let _ = unsafe { call(__NR_exit_group, [status as usize, 0, 0, 0, 0, 0]) };
    }
}

/// `exit`: ends this task alone.
pub fn exit_task(status: i32) -> ! {
    loop {
        // SAFETY: nothing of this task runs afterwards.
        let _ = unsafe { call(__NR_exit, [status as usize, 0, 0, 0, 0, 0]) };
    }
}

/// How a child ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status(pub i32);

impl Status {
    /// The exit status, if it exited.
    #[must_use]
    pub fn exited(self) -> Option<u8> {
        (self.0 & 0x7F == 0).then_some((self.0 >> 8) as u8)
    }

    /// The signal, if one killed it.
    #[must_use]
    pub fn signaled(self) -> Option<u32> {
        let signal = self.0 & 0x7F;
        (signal != 0 && signal != 0x7F).then_some(signal as u32)
    }
}

impl core::fmt::Display for Status {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match (self.exited(), self.signaled()) {
            (Some(status), _) => write!(f, "exited with {status}"),
            (_, Some(signal)) => write!(f, "was killed by signal {signal}"),
            _ => write!(f, "has wait status {:#x}", self.0),
        }
    }
}

/// `wait4`: the child that ended, 0 if there is none yet (WNOHANG), and how it ended.
///
/// # Errors
/// As wait4(2).
pub fn wait(pid: i32, options: u32) -> Result<(i32, Status)> {
    let mut status = 0;
    let args = [
        pid as isize as usize,
        &raw mut status as usize,
        options as usize,
        0,
        0,
        0,
    ];
    // SAFETY: the kernel writes one int.
    let pid = unsafe { call(__NR_wait4, args) }?;
    Ok((pid as i32, Status(status)))
}
