//! Calls about scheduling, time, timers and futexes.

use core::arch::asm;
use core::sync::atomic::AtomicU32;

use linux_raw_sys::general as linux;

use crate::errno::Result;
use crate::signal::Info;
use crate::sys::{Fd, call};

pub use linux::{
    CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME, CLOCK_THREAD_CPUTIME_ID,
    FUTEX_CLOCK_REALTIME, FUTEX_CMP_REQUEUE, FUTEX_CMP_REQUEUE_PI, FUTEX_LOCK_PI, FUTEX_OWNER_DIED,
    FUTEX_PRIVATE_FLAG, FUTEX_REQUEUE, FUTEX_TID_MASK, FUTEX_TRYLOCK_PI, FUTEX_UNLOCK_PI,
    FUTEX_WAIT, FUTEX_WAIT_BITSET, FUTEX_WAIT_REQUEUE_PI, FUTEX_WAITERS, FUTEX_WAKE,
    FUTEX_WAKE_BITSET, FUTEX_WAKE_OP, ITIMER_PROF, ITIMER_REAL, ITIMER_VIRTUAL, PRIO_PROCESS,
    RLIMIT_CPU, RLIMIT_NICE, RLIMIT_RTPRIO, SCHED_BATCH, SCHED_FIFO, SCHED_IDLE, SCHED_NORMAL,
    SCHED_RESET_ON_FORK, SCHED_RR, SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD_ID, TIMER_ABSTIME,
};

/// Nanoseconds of a second.
pub const SECOND: u64 = 1_000_000_000;
/// Nanoseconds of a millisecond.
pub const MILLISECOND: u64 = 1_000_000;

/// A call with numbers and with addresses of values that live longer.
fn raw(nr: u32, args: [usize; 5]) -> Result<usize> {
    let [a, b, c, d, e] = args;
    // SAFETY: every caller below passes addresses of values of the type that
    // the call reads or writes, or numbers.
    unsafe { call(nr, [a, b, c, d, e, 0]) }
}

fn signed(value: i32) -> usize {
    value as isize as usize
}

fn at<T>(value: &T) -> usize {
    core::ptr::from_ref(value) as usize
}

fn into<T>(value: &mut T) -> usize {
    core::ptr::from_mut(value) as usize
}

/// `sched_setscheduler`.
///
/// # Errors
/// As sched_setscheduler(2).
pub fn set_scheduler(pid: i32, policy: u32, priority: i32) -> Result<()> {
    let args = [signed(pid), policy as usize, at(&priority), 0, 0];
    raw(linux::__NR_sched_setscheduler, args).map(drop)
}

/// `sched_getscheduler`.
///
/// # Errors
/// As sched_getscheduler(2).
pub fn scheduler(pid: i32) -> Result<u32> {
    raw(linux::__NR_sched_getscheduler, [signed(pid), 0, 0, 0, 0]).map(|policy| policy as u32)
}

/// `sched_setparam`: a real-time priority.
///
/// # Errors
/// As sched_setparam(2).
pub fn set_priority_rt(pid: i32, priority: i32) -> Result<()> {
    let args = [signed(pid), at(&priority), 0, 0, 0];
    raw(linux::__NR_sched_setparam, args).map(drop)
}

/// `sched_getparam`.
///
/// # Errors
/// As sched_getparam(2).
pub fn priority_rt(pid: i32) -> Result<i32> {
    let mut priority = -1;
    raw(
        linux::__NR_sched_getparam,
        [signed(pid), into(&mut priority), 0, 0, 0],
    )?;
    Ok(priority)
}

/// The lowest and the highest priority of a policy.
///
/// # Errors
/// As sched_get_priority_max(2).
pub fn priorities(policy: u32) -> Result<(usize, usize)> {
    let args = [policy as usize, 0, 0, 0, 0];
    Ok((
        raw(linux::__NR_sched_get_priority_min, args)?,
        raw(linux::__NR_sched_get_priority_max, args)?,
    ))
}

/// `struct sched_attr`, its first version.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Attributes {
    /// Bytes of the structure.
    pub size: u32,
    /// The policy.
    pub policy: u32,
    /// SCHED_FLAG_*.
    pub flags: u64,
    /// The nice value.
    pub nice: i32,
    /// The real-time priority.
    pub priority: u32,
    /// For deadlines.
    pub deadline: [u64; 3],
}

/// `sched_setattr`.
///
/// # Errors
/// As sched_setattr(2).
pub fn set_attributes(pid: i32, attributes: &Attributes) -> Result<()> {
    let args = [signed(pid), at(attributes), 0, 0, 0];
    raw(linux::__NR_sched_setattr, args).map(drop)
}

/// `sched_getattr`.
///
/// # Errors
/// As sched_getattr(2).
pub fn attributes(pid: i32) -> Result<Attributes> {
    let mut attributes = Attributes::default();
    let size = size_of::<Attributes>();
    raw(
        linux::__NR_sched_getattr,
        [signed(pid), into(&mut attributes), size, 0, 0],
    )?;
    Ok(attributes)
}

/// `setpriority` of one task.
///
/// # Errors
/// As setpriority(2).
pub fn set_nice(pid: i32, nice: i32) -> Result<()> {
    let args = [PRIO_PROCESS as usize, signed(pid), signed(nice), 0, 0];
    raw(linux::__NR_setpriority, args).map(drop)
}

/// `getpriority` of one task, as a nice value.
///
/// # Errors
/// As getpriority(2).
pub fn nice(pid: i32) -> Result<i32> {
    let args = [PRIO_PROCESS as usize, signed(pid), 0, 0, 0];
    raw(linux::__NR_getpriority, args).map(|shown| 20 - shown as i32)
}

/// `sched_setaffinity`: a mask of CPUs.
///
/// # Errors
/// As sched_setaffinity(2).
pub fn set_affinity(pid: i32, mask: u64) -> Result<()> {
    let args = [signed(pid), 8, at(&mask), 0, 0];
    raw(linux::__NR_sched_setaffinity, args).map(drop)
}

/// `prlimit64` of the caller: sets a soft and a hard limit.
///
/// # Errors
/// As prlimit(2).
pub fn set_limit(resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limits = [soft, hard];
    let args = [0, resource as usize, at(&limits), 0, 0];
    raw(linux::__NR_prlimit64, args).map(drop)
}

/// `setresuid` with one number.
///
/// # Errors
/// As setresuid(2).
pub fn become_user(uid: u32) -> Result<()> {
    let uid = uid as usize;
    raw(linux::__NR_setresuid, [uid, uid, uid, 0, 0]).map(drop)
}

/// Seconds and nanoseconds.
type Timespec = [i64; 2];

fn timespec(nanoseconds: u64) -> Timespec {
    [(nanoseconds / SECOND) as i64, (nanoseconds % SECOND) as i64]
}

fn nanoseconds(time: Timespec) -> u64 {
    time[0] as u64 * SECOND + time[1] as u64
}

/// `clock_gettime`, in nanoseconds.
///
/// # Errors
/// As clock_gettime(2).
pub fn clock(number: u32) -> Result<u64> {
    let mut time = Timespec::default();
    raw(
        linux::__NR_clock_gettime,
        [number as usize, into(&mut time), 0, 0, 0],
    )?;
    Ok(nanoseconds(time))
}

/// `clock_settime`.
///
/// # Errors
/// As clock_settime(2).
pub fn set_clock(number: u32, to: u64) -> Result<()> {
    let time = timespec(to);
    raw(
        linux::__NR_clock_settime,
        [number as usize, at(&time), 0, 0, 0],
    )
    .map(drop)
}

/// `clock_nanosleep`; gives what was left of a relative sleep that a handler
/// ended.
///
/// # Errors
/// As clock_nanosleep(2), but EINTR.
pub fn sleep(number: u32, flags: u32, time: u64) -> Result<u64> {
    let (request, mut left) = (timespec(time), Timespec::default());
    let args = [
        number as usize,
        flags as usize,
        at(&request),
        into(&mut left),
        0,
    ];
    match raw(linux::__NR_clock_nanosleep, args) {
        Err(crate::errno::Errno::EINTR) => Ok(nanoseconds(left)),
        result => result.map(|_| 0),
    }
}

/// The CPU clock of another task's group.
#[must_use]
pub fn cpu_clock_of(pid: i32) -> u32 {
    (!pid << 3 | 2) as u32
}

/// `setitimer`, in nanoseconds; gives what was left and the interval.
///
/// # Errors
/// As setitimer(2).
pub fn set_interval(which: u32, left: u64, interval: u64) -> Result<(u64, u64)> {
    let words = |time: u64| [time / SECOND, time % SECOND / 1000];
    let new = [words(interval), words(left)];
    let mut old = [[0_u64; 2]; 2];
    let args = [which as usize, at(&new), into(&mut old), 0, 0];
    raw(linux::__NR_setitimer, args)?;
    let time = |[seconds, microseconds]: [u64; 2]| seconds * SECOND + microseconds * 1000;
    Ok((time(old[1]), time(old[0])))
}

/// `alarm`.
#[must_use]
pub fn alarm(seconds: usize) -> usize {
    raw(linux::__NR_alarm, [seconds, 0, 0, 0, 0]).unwrap_or(usize::MAX)
}

/// The start of `struct sigevent`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Event {
    /// `sigev_value`.
    pub value: u64,
    /// `sigev_signo`.
    pub signal: u32,
    /// `sigev_notify`.
    pub notify: u32,
    /// The task, with SIGEV_THREAD_ID.
    pub tid: i32,
    /// Unused.
    pub rest: [u32; 11],
}

/// `timer_create`.
///
/// # Errors
/// As timer_create(2).
pub fn create_timer(clock: u32, event: &Event) -> Result<u32> {
    let mut id = 0_u32;
    let args = [clock as usize, at(event), into(&mut id), 0, 0];
    raw(linux::__NR_timer_create, args)?;
    Ok(id)
}

/// `timer_settime`; gives what was left and the interval.
///
/// # Errors
/// As timer_settime(2).
pub fn set_timer(id: u32, flags: u32, left: u64, interval: u64) -> Result<(u64, u64)> {
    let new = [timespec(interval), timespec(left)];
    let mut old = [Timespec::default(); 2];
    let args = [id as usize, flags as usize, at(&new), into(&mut old), 0];
    raw(linux::__NR_timer_settime, args)?;
    Ok((nanoseconds(old[1]), nanoseconds(old[0])))
}

/// `timer_gettime`: what is left, and the interval.
///
/// # Errors
/// As timer_gettime(2).
pub fn timer(id: u32) -> Result<(u64, u64)> {
    let mut now = [Timespec::default(); 2];
    raw(
        linux::__NR_timer_gettime,
        [id as usize, into(&mut now), 0, 0, 0],
    )?;
    Ok((nanoseconds(now[1]), nanoseconds(now[0])))
}

/// `timer_getoverrun`.
///
/// # Errors
/// As timer_getoverrun(2).
pub fn overrun(id: u32) -> Result<usize> {
    raw(linux::__NR_timer_getoverrun, [id as usize, 0, 0, 0, 0])
}

/// `timer_delete`.
///
/// # Errors
/// As timer_delete(2).
pub fn delete_timer(id: u32) -> Result<()> {
    raw(linux::__NR_timer_delete, [id as usize, 0, 0, 0, 0]).map(drop)
}

/// The timer's number, overrun and value in a handler's information.
///
/// # Safety
/// The information is that of a timer's signal.
#[must_use]
pub unsafe fn timer_info(info: *const Info) -> (i32, i32, u64) {
    let words = info.cast::<i32>();
    // SAFETY: siginfo_t is 128 bytes; the three lie at 16, 20 and 24.
    unsafe { (*words.add(4), *words.add(5), *words.add(6).cast::<u64>()) }
}

/// `timerfd_create`.
///
/// # Errors
/// As timerfd_create(2).
pub fn timer_descriptor(clock: u32, flags: u32) -> Result<Fd> {
    let args = [clock as usize, flags as usize, 0, 0, 0];
    raw(linux::__NR_timerfd_create, args).map(|fd| fd as Fd)
}

/// `timerfd_settime`; gives what was left and the interval.
///
/// # Errors
/// As timerfd_settime(2).
pub fn set_descriptor(fd: Fd, flags: u32, left: u64, interval: u64) -> Result<(u64, u64)> {
    let new = [timespec(interval), timespec(left)];
    let mut old = [Timespec::default(); 2];
    let args = [signed(fd), flags as usize, at(&new), into(&mut old), 0];
    raw(linux::__NR_timerfd_settime, args)?;
    Ok((nanoseconds(old[1]), nanoseconds(old[0])))
}

/// What `getrusage` tells, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// In user mode.
    pub user: u64,
    /// In the kernel.
    pub system: u64,
    /// Page faults.
    pub faults: u64,
    /// Switches of its own will.
    pub voluntary: u64,
}

fn usage_of(words: &[u64; 18]) -> Usage {
    Usage {
        user: words[0] * SECOND + words[1] * 1000,
        system: words[2] * SECOND + words[3] * 1000,
        faults: words[8],
        voluntary: words[16],
    }
}

/// `getrusage`: 0 for the group, -1 for children, 1 for the task.
///
/// # Errors
/// As getrusage(2).
pub fn usage(who: i32) -> Result<Usage> {
    let mut words = [0; 18];
    raw(
        linux::__NR_getrusage,
        [signed(who), into(&mut words), 0, 0, 0],
    )?;
    Ok(usage_of(&words))
}

/// `wait4` with what the child has used.
///
/// # Errors
/// As wait4(2).
pub fn wait_usage(pid: i32) -> Result<(i32, Usage)> {
    let (mut status, mut words) = (0_i32, [0; 18]);
    raw(
        linux::__NR_wait4,
        [signed(pid), into(&mut status), 0, into(&mut words), 0],
    )?;
    Ok((status, usage_of(&words)))
}

/// `times`: own user and system time, that of children, in ticks.
///
/// # Errors
/// As times(2).
pub fn times() -> Result<[u64; 4]> {
    let mut times = [0; 4];
    raw(linux::__NR_times, [into(&mut times), 0, 0, 0, 0])?;
    Ok(times)
}

/// A futex call with everything that it takes. A timeout of 0 is none.
#[derive(Clone, Copy)]
pub struct Futex<'a> {
    /// The word.
    pub word: &'a AtomicU32,
    /// FUTEX_*.
    pub operation: u32,
    /// The first number.
    pub value: u32,
    /// A timeout in nanoseconds; not with `count`.
    pub timeout: u64,
    /// The second count, of calls that have no timeout.
    pub count: u32,
    /// The second word.
    pub other: Option<&'a AtomicU32>,
    /// The third number.
    pub third: u32,
}

impl<'a> Futex<'a> {
    /// A call with one word and one number.
    #[must_use]
    pub fn new(word: &'a AtomicU32, operation: u32, value: u32) -> Self {
        Futex {
            word,
            operation,
            value,
            timeout: 0,
            count: 0,
            other: None,
            third: 0,
        }
    }

    /// Calls.
    ///
    /// # Errors
    /// As futex(2).
    pub fn call(self) -> Result<usize> {
        let time = timespec(self.timeout);
        let fourth = match self.timeout {
            0 => self.count as usize,
            _ => at(&time),
        };
        let args = [
            self.word.as_ptr() as usize,
            self.operation as usize,
            self.value as usize,
            fourth,
            self.other.map_or(0, |word| word.as_ptr() as usize),
            self.third as usize,
        ];
        // SAFETY: the kernel works on the words, which are atomic, and reads
        // the timeout.
        unsafe { call(linux::__NR_futex, args) }
    }
}

/// One entry of `futex_waitv`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct WaitOne {
    /// What the word must be.
    pub value: u64,
    /// Its address.
    pub address: u64,
    /// FUTEX_32 and FUTEX_PRIVATE_FLAG.
    pub flags: u32,
    /// Zero.
    pub reserved: u32,
}

/// `futex_waitv` without a timeout.
///
/// # Errors
/// As futex_waitv(2).
pub fn wait_any(list: &[WaitOne]) -> Result<usize> {
    let args = [list.as_ptr() as usize, list.len(), 0, 0, 0];
    raw(linux::__NR_futex_waitv, args)
}

/// `set_robust_list`.
///
/// # Errors
/// As set_robust_list(2).
pub fn set_robust_list(head: &'static [AtomicUsizeWord; 3]) -> Result<()> {
    raw(linux::__NR_set_robust_list, [at(head), 24, 0, 0, 0]).map(drop)
}

/// A word of a robust list: the kernel reads it when the task ends.
pub type AtomicUsizeWord = core::sync::atomic::AtomicUsize;

/// Uses up CPU time in user mode: instructions that take long, sixteen a round.
pub fn burn(rounds: u64) {
    // SAFETY: CPUID changes four registers and no memory; the compiler keeps
    // rbx for itself.
    unsafe {
        asm!(
            "mov {saved}, rbx",
            "2:",
            ".rept 16",
            "xor eax, eax",
            "cpuid",
            ".endr",
            "dec {rounds}",
            "jnz 2b",
            "mov rbx, {saved}",
            saved = out(reg) _,
            rounds = inout(reg) rounds.max(1) => _,
            out("eax") _, out("ecx") _, out("edx") _,
            options(nomem, nostack),
        );
    }
}
