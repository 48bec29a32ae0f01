//! Timers of a thread group: the three interval timers, POSIX timers, and the
//! limit of CPU time. Each runs by the monotonic clock, by the real-time clock,
//! or by what a task or its group uses of the CPU.
//!
//! A timer by a clock of the wall is set in the scheduler's queue of timers and
//! expires in ksoftirqd. One by CPU time sets an alarm of that CPU clock: the
//! task that reaches it looks at all of its group's timers before it goes back
//! to user mode.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;

use super::group::{Group, LIMIT_CPU};
use super::tree::TREE;
use super::{Task, current, signal};
use crate::count::{Counted, Type};
use crate::errno::{Errno, Result};
use crate::mm::frame;
use crate::sched::timer::{self, Action, Expire, Key};
use crate::sched::{self, Account, CpuClock, Deadline, TaskId, Time};
use crate::signal::{Fields, SigInfo, Signal, code};
use crate::sync::SpinLock;

const SECOND: u64 = 1_000_000_000;
/// The most POSIX timers of a group.
const TIMERS_MAX: usize = 1024;
/// A timer with a shorter interval would leave no time for anything else.
const SHORTEST: u64 = 10_000;

/// Whose CPU time.
#[derive(Clone)]
pub enum Counter {
    /// A group's.
    Group(Arc<CpuClock>),
    /// A task's.
    Task(Arc<Account>),
}

impl Counter {
    fn clock(&self) -> &CpuClock {
        match self {
            Counter::Group(clock) => clock,
            Counter::Task(account) => &account.clock,
        }
    }

    fn is(&self, other: &CpuClock) -> bool {
        core::ptr::eq(self.clock(), other)
    }
}

/// What a timer runs by.
#[derive(Clone)]
pub enum Clock {
    /// Since the machine started.
    Monotonic,
    /// Since 1970.
    Real,
    /// CPU time; only that in user mode if `user`.
    Cpu {
        /// Whose.
        counter: Counter,
        /// Without what the kernel does for it.
        user: bool,
    },
}

impl Clock {
    /// What it says now, in nanoseconds.
    #[must_use]
    pub fn now(&self) -> u64 {
        match self {
            Clock::Monotonic => Time::now().0,
            Clock::Real => Time::now().real(),
            Clock::Cpu { counter, user } => {
                let times = counter.clock().times();
                if *user { times.user } else { times.total() }
            }
        }
    }

    /// The moment at which it says so; `None` if nobody knows, as with CPU time.
    fn deadline(&self, at: u64) -> Option<Deadline> {
        match self {
            Clock::Monotonic => Some(Deadline::Monotonic(Time(at))),
            Clock::Real => Some(Deadline::Real(at)),
            Clock::Cpu { .. } => None,
        }
    }
}

/// What happens when a timer expires.
#[derive(Clone, Copy, Debug)]
pub enum Notify {
    /// Nothing; its owner looks at it.
    Nothing,
    /// An interval timer: a signal to the group.
    Interval(Signal),
    /// A POSIX timer: a signal to the group, or to one task, with a value.
    Signal {
        /// Which.
        signal: Signal,
        /// `si_value`.
        value: u64,
        /// To whom, if not to the group.
        task: Option<TaskId>,
    },
    /// A task that sleeps by this clock is woken.
    Wake(TaskId),
}

/// What a timer is set to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// Nanoseconds until it expires; 0 if it does not run.
    pub left: u64,
    /// And then each time after so many; 0 if only once.
    pub interval: u64,
}

#[derive(Default)]
struct State {
    /// When it expires next, by its clock.
    next: Option<u64>,
    interval: u64,
    /// In the queue of timers.
    key: Option<Key>,
    /// Its signal has not been delivered yet: until then it does not run on.
    fired: bool,
    /// How often it expired more than signals were delivered, the last time.
    overrun: i32,
    /// Nobody knows it any more.
    deleted: bool,
}

/// A timer.
pub struct Timer {
    _counted: Counted,
    id: u32,
    clock: Clock,
    notify: Notify,
    group: Weak<Group>,
    state: SpinLock<State>,
}

/// The timers of a group.
#[derive(Default)]
pub struct Timers {
    /// ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF.
    intervals: [Option<Arc<Timer>>; 3],
    posix: BTreeMap<u32, Arc<Timer>>,
    sleepers: Vec<Arc<Timer>>,
    /// The CPU time at which RLIMIT_CPU is said to be over the next time.
    next_warning: u64,
}

impl Timers {
    fn all(&self) -> impl Iterator<Item = &Arc<Timer>> {
        let intervals = self.intervals.iter().flatten();
        intervals.chain(self.posix.values()).chain(&self.sleepers)
    }

    /// Those that run by CPU time.
    fn by_cpu(&self) -> Vec<Arc<Timer>> {
        let by_cpu = |timer: &&Arc<Timer>| matches!(timer.clock, Clock::Cpu { .. });
        self.all().filter(by_cpu).cloned().collect()
    }
}

impl Timer {
    fn new(id: u32, clock: Clock, notify: Notify, group: &Arc<Group>) -> Arc<Self> {
        Arc::new(Timer {
            _counted: Counted::new(Type::Timer),
            id,
            clock,
            notify,
            group: Arc::downgrade(group),
            state: SpinLock::new(State::default()),
        })
    }

    /// What it is set to now.
    #[must_use]
    pub fn setting(&self) -> Setting {
        let now = self.clock.now();
        self.setting_at(&self.state.lock(), now)
    }

    fn setting_at(&self, state: &State, now: u64) -> Setting {
        let left = match state.next {
            None => 0,
            Some(next) if next > now => next - now,
            // Its signal waits: it would have expired again meanwhile.
            Some(next) if state.interval > 0 => state.interval - (now - next) % state.interval,
            Some(_) if matches!(self.notify, Notify::Nothing) => 0,
            // It expires at any moment.
            Some(_) => 1,
        };
        Setting {
            left,
            interval: state.interval,
        }
    }

    /// Sets it, to a time of its clock or from now; gives what it was set to.
    pub fn set(self: &Arc<Self>, new: Setting, absolute: bool) -> Setting {
        let now = self.clock.now();
        let before = {
            let mut state = self.state.lock();
            let before = self.setting_at(&state, now);
            let at = if absolute {
                new.left
            } else {
                now.saturating_add(new.left)
            };
            state.next = (new.left != 0).then_some(at);
            state.interval = new.interval;
            state.fired = false;
            state.overrun = 0;
            let key = state.key.take();
            drop(state);
            cancel(key);
            before
        };
        self.arm();
        before
    }

    /// Waits for the next time that it expires.
    fn arm(self: &Arc<Self>) {
        let next = {
            let state = self.state.lock();
            state.next.filter(|_| !state.fired && !state.deleted)
        };
        if matches!(self.clock, Clock::Cpu { .. }) {
            if let Some(group) = self.group.upgrade() {
                rearm(&group);
            }
        } else if let Some(deadline) = next.and_then(|at| self.clock.deadline(at)) {
            let key = timer::set(deadline, Action::Tell(self.clone()));
            let before = self.state.lock().key.replace(key);
            cancel(before);
        }
    }

    /// Takes it out of the queue for good.
    fn delete(&self) {
        let key = {
            let mut state = self.state.lock();
            state.deleted = true;
            state.next = None;
            state.key.take()
        };
        cancel(key);
    }

    /// Its time may have come.
    fn look(self: &Arc<Self>) {
        let now = self.clock.now();
        {
            let mut state = self.state.lock();
            let due = state.next.is_some_and(|next| next <= now);
            if !due || state.fired || state.deleted {
                return;
            }
            state.fired = true;
            state.key = None;
        }
        match self.notify {
            Notify::Nothing => {}
            Notify::Wake(task) => {
                sched::wake(task);
            }
            Notify::Interval(signal) => {
                self.send(SigInfo::kernel(signal), None);
                if !crate::mutant!("interval-fires-once") {
                    self.go_on(now);
                }
            }
            Notify::Signal {
                signal,
                value,
                task,
            } => {
                let info = self.info(signal, value);
                let task = task.filter(|_| !crate::mutant!("timer-thread-is-ignored"));
                // What is ignored is never delivered, so it goes on at once.
                if !self.send(info, task) {
                    self.go_on(now);
                }
            }
        }
    }

    fn info(&self, signal: Signal, value: u64) -> SigInfo {
        SigInfo {
            signal,
            code: code::SI_TIMER,
            fields: Fields::Timer {
                id: self.id,
                overrun: 0,
                value,
            },
        }
    }

    /// Sends its signal. True if it is pending now.
    fn send(&self, info: SigInfo, to: Option<TaskId>) -> bool {
        let Some(group) = self.group.upgrade() else {
            return false;
        };
        let members = TREE.lock().members(group.id().0);
        let receiver = match to {
            None => members.first(),
            Some(id) => members.iter().find(|member| member.id() == id),
        };
        let Some(receiver) = receiver else {
            return false;
        };
        signal::send(receiver, to.is_none(), info);
        if to.is_none() {
            group.signals.lock().pending.holds(&info)
        } else {
            receiver.signals.lock().pending.holds(&info)
        }
    }

    /// Runs on after it has expired; gives how often it did so besides.
    fn go_on(self: &Arc<Self>, now: u64) -> i32 {
        let overrun = {
            let mut state = self.state.lock();
            state.fired = false;
            let Some(next) = state.next.filter(|_| state.interval > 0) else {
                state.next = None;
                state.overrun = 0;
                return 0;
            };
            let more = now.saturating_sub(next) / state.interval;
            let at = next.saturating_add((more + 1).saturating_mul(state.interval));
            state.next = Some(at.max(now.saturating_add(SHORTEST)));
            if crate::mutant!("timer-forgets-overruns") {
                state.overrun = 0;
            } else {
                state.overrun = i32::try_from(more).unwrap_or(i32::MAX);
            }
            state.overrun
        };
        self.arm();
        overrun
    }

    /// How often it expired more than signals were delivered, the last time.
    #[must_use]
    pub fn overrun(&self) -> i32 {
        self.state.lock().overrun
    }
}

impl Expire for Timer {
    fn expire(self: Arc<Self>) {
        self.look();
    }
}

fn cancel(key: Option<Key>) {
    if let Some(key) = key {
        timer::cancel(key);
    }
}

/// The running task's group's interval timer, made when it is first wanted.
fn interval(which: usize) -> Result<Arc<Timer>> {
    let me = current();
    let group = me.group();
    let mut timers = group.timers.lock();
    if let Some(timer) = &timers.intervals[which] {
        return Ok(timer.clone());
    }
    frame::room()?;
    let counter = Counter::Group(group.clock.clone());
    let (clock, signal) = match which {
        1 if crate::mutant!("cpu-timers-run-by-the-wall") => (Clock::Monotonic, Signal::SIGVTALRM),
        0 => (Clock::Monotonic, Signal::SIGALRM),
        1 => (
            Clock::Cpu {
                counter,
                user: true,
            },
            Signal::SIGVTALRM,
        ),
        _ => (
            Clock::Cpu {
                counter,
                user: false,
            },
            Signal::SIGPROF,
        ),
    };
    let timer = Timer::new(u32::MAX, clock, Notify::Interval(signal), group);
    timers.intervals[which] = Some(timer.clone());
    Ok(timer)
}

/// Sets an interval timer of the running task's group (0 to 2); gives what it
/// was set to.
///
/// # Errors
/// `ENOMEM`.
pub fn set_interval(which: usize, new: Setting) -> Result<Setting> {
    Ok(interval(which)?.set(new, false))
}

/// What an interval timer of the running task's group is set to.
#[must_use]
pub fn get_interval(which: usize) -> Setting {
    let timer = current().group().timers.lock().intervals[which].clone();
    timer.map(|timer| timer.setting()).unwrap_or_default()
}

/// Makes a POSIX timer; `notify` may depend on its number.
///
/// # Errors
/// `EAGAIN` if there are too many, `ENOMEM`.
pub fn create(clock: Clock, notify: impl FnOnce(u32) -> Notify) -> Result<u32> {
    frame::room()?;
    let me = current();
    let mut timers = me.group().timers.lock();
    let mut numbers = (0..).zip(timers.posix.keys());
    let taken = timers.posix.len() as u32;
    let id = numbers
        .find(|(number, id)| number != *id)
        .map_or(taken, |(number, _)| number);
    if timers.posix.len() >= TIMERS_MAX {
        return Err(Errno::EAGAIN);
    }
    let timer = Timer::new(id, clock, notify(id), me.group());
    timers.posix.insert(id, timer);
    Ok(id)
}

/// A POSIX timer of the running task's group.
///
/// # Errors
/// `EINVAL` if there is none with this number.
pub fn find(id: u32) -> Result<Arc<Timer>> {
    let timers = current();
    let timers = timers.group().timers.lock();
    timers.posix.get(&id).cloned().ok_or(Errno::EINVAL)
}

/// Deletes a POSIX timer of the running task's group.
///
/// # Errors
/// `EINVAL` if there is none with this number.
pub fn delete(id: u32) -> Result<()> {
    let me = current();
    let timer = me.group().timers.lock().posix.remove(&id);
    let timer = timer.ok_or(Errno::EINVAL)?;
    forget(me.group(), &timer);
    Ok(())
}

fn forget(group: &Arc<Group>, timer: &Timer) {
    timer.delete();
    if let Clock::Cpu { counter, .. } = &timer.clock {
        counter.clock().set_alarm(None);
        rearm(group);
    }
}

/// Sleeps until a CPU clock says so.
///
/// # Errors
/// `ERESTARTSYS` when a signal is pending, `ENOMEM`.
pub fn sleep_by_cpu(clock: Clock, until: u64) -> Result<()> {
    frame::room()?;
    let me = current();
    let timer = Timer::new(0, clock.clone(), Notify::Wake(me.id()), me.group());
    me.group().timers.lock().sleepers.push(timer.clone());
    let set = Setting {
        left: until.max(1),
        interval: 0,
    };
    timer.set(set, true);
    let there = || (clock.now() >= until).then_some(());
    let slept = sched::WaitQueue::new().wait_interruptible(None, there);
    let mut timers = me.group().timers.lock();
    timers.sleepers.retain(|other| !Arc::ptr_eq(other, &timer));
    drop(timers);
    forget(me.group(), &timer);
    slept.map(drop)
}

/// A POSIX timer's signal is being delivered: the timer runs on. Fills in how
/// often it expired besides.
pub fn delivered(task: &Task, info: &mut SigInfo) {
    if info.code != code::SI_TIMER {
        return;
    }
    if let Fields::Timer { id, overrun, .. } = &mut info.fields {
        let timer = task.group().timers.lock().posix.get(id).cloned();
        if let Some(timer) = timer {
            *overrun = timer.go_on(timer.clock.now());
        }
    }
}

/// The running task has used so much of the CPU that a timer may expire.
pub fn check_cpu_timers() {
    let me = current();
    let timers = me.group().timers.lock().by_cpu();
    for timer in &timers {
        timer.look();
    }
    check_limit(&me);
    rearm(me.group());
}

/// RLIMIT_CPU: a signal at the soft limit and each second after it, the end at
/// the hard one.
fn check_limit(task: &Arc<Task>) {
    let (soft, hard) = task.group().limit(LIMIT_CPU);
    let total = task.group().clock.times().total();
    let over = |limit: u64| limit != u64::MAX && total >= limit.saturating_mul(SECOND);
    if over(hard) {
        signal::send(task, true, SigInfo::kernel(Signal::SIGKILL));
        return;
    }
    let warn = {
        let mut timers = task.group().timers.lock();
        let warn = over(soft) && total >= timers.next_warning;
        if warn {
            timers.next_warning = total.saturating_add(SECOND);
        }
        warn
    };
    if warn {
        signal::send(task, true, SigInfo::kernel(Signal::SIGXCPU));
    }
}

/// Sets the alarms of the CPU clocks that a group's timers run by.
pub fn rearm(group: &Arc<Group>) {
    let timers = group.timers.lock().by_cpu();
    let mut accounts: Vec<Arc<Account>> = Vec::new();
    for timer in &timers {
        if let Clock::Cpu {
            counter: Counter::Task(account),
            ..
        } = &timer.clock
            && !accounts.iter().any(|other| Arc::ptr_eq(other, account))
        {
            accounts.push(account.clone());
        }
    }
    for account in &accounts {
        account.clock.set_alarm(first(&timers, &account.clock));
    }
    let first = first(&timers, &group.clock);
    let limit = limit_alarm(group);
    let alarm = match (first, limit) {
        (Some(first), Some(limit)) => Some(first.min(limit)),
        (first, limit) => first.or(limit),
    };
    group.clock.set_alarm(alarm);
}

/// The total of a CPU clock at which the first timer that runs by it can
/// expire.
fn first(timers: &[Arc<Timer>], clock: &CpuClock) -> Option<u64> {
    let total = clock.times().total();
    let at = |timer: &Arc<Timer>| {
        let Clock::Cpu { counter, user } = &timer.clock else {
            return None;
        };
        let state = timer.state.lock();
        let next = state.next.filter(|_| counter.is(clock) && !state.fired)?;
        drop(state);
        let left = next.saturating_sub(timer.clock.now());
        // Time in the kernel does not count for some: then it is later, and the
        // way to user mode must not use up what is left.
        let left = if *user { left.max(SHORTEST) } else { left };
        Some(total.saturating_add(left))
    };
    timers.iter().filter_map(at).min()
}

fn limit_alarm(group: &Group) -> Option<u64> {
    if crate::mutant!("cpu-limit-is-forgotten") {
        return None;
    }
    let (soft, hard) = group.limit(LIMIT_CPU);
    let at = |limit: u64| (limit != u64::MAX).then(|| limit.saturating_mul(SECOND));
    let soft = at(soft).map(|soft| soft.max(group.timers.lock().next_warning));
    match (soft, at(hard)) {
        (Some(soft), Some(hard)) => Some(soft.min(hard)),
        (soft, hard) => soft.or(hard),
    }
}

/// A new program: POSIX timers are deleted, interval timers run on.
pub(super) fn exec(group: &Arc<Group>) {
    let timers = core::mem::take(&mut group.timers.lock().posix);
    for timer in timers.values() {
        forget(group, timer);
    }
}

/// The last task of a group is gone.
pub(super) fn end_of_group(group: &Group) {
    let timers = core::mem::take(&mut *group.timers.lock());
    for timer in timers.all() {
        timer.delete();
    }
}
