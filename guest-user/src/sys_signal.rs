//! The calls about signals that carry more than a number, and about those who
//! are in which process group and session.

use core::ffi::c_void;

use linux_raw_sys::general::{
    __NR_getpgid, __NR_getsid, __NR_ioctl, __NR_nanosleep, __NR_pause, __NR_prctl, __NR_prlimit64,
    __NR_read, __NR_rt_sigpending, __NR_rt_sigqueueinfo, __NR_rt_sigsuspend, __NR_rt_sigtimedwait,
    __NR_rt_tgsigqueueinfo, __NR_setpgid, __NR_setsid, __NR_setuid, __NR_sigaltstack,
    __NR_signalfd4, __NR_waitid, __kernel_timespec,
};

use crate::errno::Result;
use crate::sys::call;

pub use linux_raw_sys::general::{
    CLD_CONTINUED, CLD_EXITED, CLD_KILLED, CLD_STOPPED, CLD_TRAPPED, P_ALL, P_PGID, P_PID,
    RLIMIT_CORE, RLIMIT_SIGPENDING, SA_NOCLDSTOP, SA_NOCLDWAIT, SI_KERNEL, SI_QUEUE, SI_TKILL,
    SI_USER, SIGBUS, SIGCONT, SIGFPE, SIGILL, SIGRTMIN, SIGSTOP, SIGTRAP, SIGTSTP, SIGTTIN,
    SIGTTOU, SIGURG, SS_AUTODISARM, SS_DISABLE, SS_ONSTACK, WCONTINUED, WEXITED, WNOWAIT, WSTOPPED,
    WUNTRACED,
};

/// A whole `siginfo_t`.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub struct SigInfo(pub [i32; 32]);

impl SigInfo {
    /// One of zeros.
    pub const EMPTY: SigInfo = SigInfo([0; 32]);

    /// What `sigqueue` makes.
    #[must_use]
    pub fn queued(code: i32, value: i32) -> Self {
        let mut info = SigInfo::EMPTY;
        info.0[2] = code;
        info.0[4] = crate::sys::getpid();
        info.0[6] = value;
        info
    }

    /// `si_signo`.
    #[must_use]
    pub fn signal(&self) -> u32 {
        self.0[0] as u32
    }

    /// `si_code`.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.0[2]
    }

    /// `si_pid`.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.0[4]
    }

    /// `si_status` of a child, `si_value` of a queued signal.
    #[must_use]
    pub fn value(&self) -> i32 {
        self.0[6]
    }

    /// `si_addr`.
    #[must_use]
    pub fn address(&self) -> usize {
        self.0[4] as u32 as usize | (self.0[5] as u32 as usize) << 32
    }
}

fn numbers(nr: u32, args: [usize; 3]) -> Result<usize> {
    // SAFETY: callers pass calls that read and write no memory of ours.
    unsafe { call(nr, [args[0], args[1], args[2], 0, 0, 0]) }
}

/// `rt_sigqueueinfo`.
///
/// # Errors
/// As rt_sigqueueinfo(2).
pub fn queue(pid: i32, signal: u32, info: &SigInfo) -> Result<()> {
    let info: *const SigInfo = info;
    let args = [pid as usize, signal as usize, info as usize, 0, 0, 0];
    // SAFETY: the kernel reads one siginfo.
    unsafe { call(__NR_rt_sigqueueinfo, args) }.map(drop)
}

/// `rt_tgsigqueueinfo`.
///
/// # Errors
/// As rt_tgsigqueueinfo(2).
pub fn queue_to_task(tgid: i32, tid: i32, signal: u32, info: &SigInfo) -> Result<()> {
    let info: *const SigInfo = info;
    let args = [
        tgid as usize,
        tid as usize,
        signal as usize,
        info as usize,
        0,
        0,
    ];
    // SAFETY: the kernel reads one siginfo.
    unsafe { call(__NR_rt_tgsigqueueinfo, args) }.map(drop)
}

/// `rt_sigtimedwait`; a negative time waits for ever.
///
/// # Errors
/// As rt_sigtimedwait(2).
pub fn wait_for_signal(set: u64, ms: i64) -> Result<SigInfo> {
    let mut info = SigInfo::EMPTY;
    let time = timespec(ms);
    let at: *const __kernel_timespec = if ms < 0 {
        core::ptr::null()
    } else {
        &raw const time
    };
    let args = [
        &raw const set as usize,
        &raw mut info as usize,
        at as usize,
        size_of::<u64>(),
        0,
        0,
    ];
    // SAFETY: the kernel reads a set and a time and writes one siginfo.
    unsafe { call(__NR_rt_sigtimedwait, args) }?;
    Ok(info)
}

fn timespec(ms: i64) -> __kernel_timespec {
    __kernel_timespec {
        tv_sec: ms / 1000,
        tv_nsec: ms % 1000 * 1_000_000,
    }
}

/// `rt_sigpending`.
///
/// # Errors
/// As sigpending(2).
pub fn pending() -> Result<u64> {
    let mut set = 0_u64;
    let args = [&raw mut set as usize, size_of::<u64>(), 0, 0, 0, 0];
    // SAFETY: the kernel writes one set.
    unsafe { call(__NR_rt_sigpending, args) }?;
    Ok(set)
}

/// `rt_sigsuspend`: returns with EINTR once a handler ran.
///
/// # Errors
/// EINTR.
pub fn suspend(mask: u64) -> Result<()> {
    let args = [&raw const mask as usize, size_of::<u64>(), 0, 0, 0, 0];
    // SAFETY: the kernel reads one set.
    unsafe { call(__NR_rt_sigsuspend, args) }.map(drop)
}

/// `pause`.
///
/// # Errors
/// EINTR.
pub fn pause() -> Result<()> {
    numbers(__NR_pause, [0; 3]).map(drop)
}

/// `nanosleep`: true if what was left was written.
///
/// # Errors
/// EINTR if a handler ran meanwhile.
pub fn sleep_with_rest(ms: i64) -> (Result<()>, bool) {
    let time = timespec(ms);
    let mut left = timespec(0);
    let args = [&raw const time as usize, &raw mut left as usize, 0, 0, 0, 0];
    // SAFETY: the kernel reads one time and writes another.
    let slept = unsafe { call(__NR_nanosleep, args) }.map(drop);
    (slept, left.tv_sec != 0 || left.tv_nsec != 0)
}

/// `signalfd4`.
///
/// # Errors
/// As signalfd(2).
pub fn signal_descriptor(fd: crate::sys::Fd, set: u64, flags: u32) -> Result<crate::sys::Fd> {
    let args = [
        fd as usize,
        &raw const set as usize,
        size_of::<u64>(),
        flags as usize,
        0,
        0,
    ];
    // SAFETY: the kernel reads one set.
    unsafe { call(__NR_signalfd4, args) }.map(|fd| fd as crate::sys::Fd)
}

/// `read` of words: how many came.
///
/// # Errors
/// As read(2).
pub fn read_words(fd: crate::sys::Fd, words: &mut [u32]) -> Result<usize> {
    let len = size_of_val(words);
    let args = [fd as usize, words.as_mut_ptr() as usize, len, 0, 0, 0];
    // SAFETY: the kernel writes into the slice and no more.
    unsafe { call(__NR_read, args) }.map(|count| count / 4)
}

/// `setpgid`.
///
/// # Errors
/// As setpgid(2).
pub fn set_process_group(pid: i32, group: i32) -> Result<()> {
    numbers(__NR_setpgid, [pid as usize, group as usize, 0]).map(drop)
}

/// `getpgid`.
///
/// # Errors
/// As getpgid(2).
pub fn process_group(pid: i32) -> Result<i32> {
    numbers(__NR_getpgid, [pid as usize, 0, 0]).map(|group| group as i32)
}

/// `getsid`.
///
/// # Errors
/// As getsid(2).
pub fn session(pid: i32) -> Result<i32> {
    numbers(__NR_getsid, [pid as usize, 0, 0]).map(|session| session as i32)
}

/// `setsid`.
///
/// # Errors
/// As setsid(2).
pub fn new_session() -> Result<i32> {
    numbers(__NR_setsid, [0; 3]).map(|session| session as i32)
}

/// `ioctl` on a number in memory: gives what is there afterwards.
///
/// # Errors
/// As ioctl(2).
pub fn ioctl_number(fd: crate::sys::Fd, request: u32, number: i32) -> Result<i32> {
    let mut number = number;
    let args = [
        fd as usize,
        request as usize,
        &raw mut number as usize,
        0,
        0,
        0,
    ];
    // SAFETY: the kernel reads or writes one int.
    unsafe { call(__NR_ioctl, args) }?;
    Ok(number)
}

/// `ioctl` with a number.
///
/// # Errors
/// As ioctl(2).
pub fn ioctl_value(fd: crate::sys::Fd, request: u32, number: usize) -> Result<usize> {
    numbers(__NR_ioctl, [fd as usize, request as usize, number])
}

/// `prctl` with a number.
///
/// # Errors
/// As prctl(2).
pub fn prctl(option: u32, argument: usize) -> Result<usize> {
    numbers(__NR_prctl, [option as usize, argument, 0])
}

/// `prlimit64` of the caller: sets both limits.
///
/// # Errors
/// As prlimit(2).
pub fn set_limit(resource: u32, limit: u64) -> Result<()> {
    let limits = [limit; 2];
    let at: *const [u64; 2] = &limits;
    let args = [0, resource as usize, at as usize, 0, 0, 0];
    // SAFETY: the kernel reads two numbers.
    unsafe { call(__NR_prlimit64, args) }.map(drop)
}

/// `setuid`.
///
/// # Errors
/// As setuid(2).
pub fn set_user(uid: u32) -> Result<()> {
    numbers(__NR_setuid, [uid as usize, 0, 0]).map(drop)
}

/// `waitid`: what it says of a child, empty if there is nothing to say yet.
///
/// # Errors
/// As waitid(2).
pub fn wait_info(kind: u32, id: i32, options: u32) -> Result<SigInfo> {
    let mut info = SigInfo::EMPTY;
    let args = [
        kind as usize,
        id as usize,
        &raw mut info as usize,
        options as usize,
        0,
        0,
    ];
    // SAFETY: the kernel writes one siginfo.
    unsafe { call(__NR_waitid, args) }?;
    Ok(info)
}

/// `stack_t`
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct AltStack {
    /// `ss_sp`
    pub base: usize,
    /// `ss_flags`
    pub flags: u32,
    /// `ss_size`
    pub size: usize,
}

/// `sigaltstack`: gives the one before.
///
/// # Errors
/// As sigaltstack(2).
pub fn alternate_stack(new: Option<&AltStack>) -> Result<AltStack> {
    let mut old = AltStack::default();
    let new: *const AltStack = new.map_or(core::ptr::null(), core::ptr::from_ref);
    let args = [new as usize, &raw mut old as usize, 0, 0, 0, 0];
    // SAFETY: the kernel reads one stack_t and writes another.
    unsafe { call(__NR_sigaltstack, args) }?;
    Ok(old)
}

/// The siginfo that a handler was given.
///
/// # Safety
/// `info` is what the kernel passed to a handler, which still runs.
#[must_use]
pub unsafe fn given(info: *const crate::signal::Info) -> SigInfo {
    // SAFETY: by the caller; the kernel writes a whole siginfo.
    unsafe { *info.cast::<SigInfo>() }
}

/// A handler's third argument as words: the registers begin at word 5.
///
/// # Safety
/// `context` is what the kernel passed to a handler, which still runs.
#[must_use]
pub unsafe fn context_words<'a>(context: *mut c_void) -> &'a mut [u64; 38] {
    // SAFETY: by the caller; a ucontext is longer than that.
    unsafe { &mut *context.cast::<[u64; 38]>() }
}
