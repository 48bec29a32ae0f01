//! The run queue and the switch.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::choice::ChoiceKind;
use abi::event::{SchedSwitch, SchedWakeup, TaskState};

use super::account::Account;
use super::class::{self, Attributes, Class};
use super::entity::{Entity, NewTask, Sleep};
use super::policy::Policy;
use super::{TaskId, fair, slice};
use crate::arch::context::{self, SavedCpu};
use crate::arch::fpu::FpuState;
use crate::arch::{boot, irq, paging, percpu};
use crate::probe;
use crate::sync::{Once, SpinGuard, SpinLock};

struct Scheduler {
    entities: BTreeMap<u32, Box<Entity>>,
    /// The runnable tasks but the running one, in the order of their turns.
    queue: VecDeque<u32>,
    /// The task that has just run for the last time.
    dead: Option<u32>,
    /// Somebody is or was of another class than most, so ranks have to be
    /// looked at.
    ranked: bool,
    /// Whether weights count, and the least runtime that a runnable task has.
    weighs: bool,
    floor: u64,
    /// Room for the candidates of a choice.
    candidates: Vec<u32>,
}

static SCHEDULER: SpinLock<Scheduler> = SpinLock::new(Scheduler {
    entities: BTreeMap::new(),
    queue: VecDeque::new(),
    dead: None,
    ranked: false,
    weighs: false,
    floor: 0,
    candidates: Vec::new(),
});

static POLICY: Once<&'static dyn Policy> = Once::new();

impl Scheduler {
    fn entity(&mut self, id: TaskId) -> Option<&mut Entity> {
        self.entities.get_mut(&id.0).map(|entity| &mut **entity)
    }

    fn running(&mut self) -> &mut Entity {
        let id = percpu::task();
        self.entities
            .get_mut(&id)
            .expect("what runs is known to the scheduler")
    }

    /// Who runs before whom: the highest rank that is there runs.
    fn rank(&self, id: u32) -> u8 {
        let Some(entity) = self.entities.get(&id) else {
            return class::RANK_IDLE;
        };
        if entity.kernel {
            return class::RANK_KERNEL;
        }
        match entity.priority() {
            0 if entity.attributes.class == Class::Idle && !self.weighs => class::RANK_IDLE,
            0 => class::RANK_NORMAL,
            priority => class::RANK_NORMAL + priority,
        }
    }

    /// Takes the next task off the queue; the idle task if it is empty.
    fn pick(&mut self) -> u32 {
        let mut candidates = core::mem::take(&mut self.candidates);
        candidates.clear();
        if self.ranked {
            let top = self.queue.iter().map(|&id| self.rank(id)).max();
            let best = self.queue.iter().filter(|&&id| Some(self.rank(id)) == top);
            candidates.extend(best);
        } else {
            candidates.extend(&self.queue);
        }
        let next = self.choose(&candidates);
        self.candidates = candidates;
        if let Some(at) = self.queue.iter().position(|&id| id == next) {
            self.queue.remove(at);
        }
        next
    }

    fn choose(&self, candidates: &[u32]) -> u32 {
        let n = candidates.len();
        if n < 2 {
            return candidates.first().copied().unwrap_or(TaskId::IDLE.0);
        }
        let runtime = |at: usize| {
            let entity = candidates.get(at).and_then(|id| self.entities.get(id));
            entity.map_or(u64::MAX, |entity| entity.runtime)
        };
        let default = POLICY
            .get()
            .map_or(0, |policy| policy.default_pick(n, &runtime));
        let answer = probe::choose(ChoiceKind::PickNext, n as u32, default as u32, candidates);
        candidates[answer as usize]
    }

    fn make_runnable(&mut self, id: TaskId) {
        self.queue.push_back(id.0);
        if self.weighs {
            let floor = self.floor.saturating_sub(fair::credit());
            if let Some(entity) = self.entity(id) {
                entity.runtime = entity.runtime.max(floor);
            }
        }
        probe::emit(&SchedWakeup { task: id.into() });
        if self.preempts(id.0) {
            percpu::with(|cpu| cpu.need_resched = true);
        }
    }

    /// Whether a task that has become runnable runs before the running one.
    fn preempts(&self, id: u32) -> bool {
        let running = percpu::task();
        if !self.ranked && !self.weighs || running == TaskId::IDLE.0 {
            return false;
        }
        let (own, other) = (self.rank(id), self.rank(running));
        if self.ranked && own != other && !crate::mutant!("wake-never-preempts") {
            return own > other;
        }
        let (Some(woken), Some(running)) = (self.entities.get(&id), self.entities.get(&running))
        else {
            return false;
        };
        let eager = self.weighs && woken.attributes.class == Class::Other && !running.kernel;
        eager && fair::is_behind(woken, running)
    }

    /// Counts what the running task has used until now.
    fn account(&mut self) {
        let (user, system) = percpu::with(|cpu| cpu.take_times());
        self.running().account.clock.charge(user, system);
    }

    /// Adds what the running task has used to its weighted runtime, and moves
    /// the floor that those who slept are lifted to.
    fn weigh(&mut self, runnable: bool) {
        let running = self.running();
        running.runtime += fair::weighted(running);
        let own = runnable.then_some(running.runtime);
        let runtimes = self.queue.iter().filter_map(|id| self.entities.get(id));
        let least = runtimes.map(|entity| entity.runtime).chain(own).min();
        self.floor = self.floor.max(least.unwrap_or(0));
    }
}

/// Makes the running code the idle task, and sets the policy.
pub fn init(policy: &'static dyn Policy, pointer: *const (), account: Arc<Account>) {
    POLICY.set(policy);
    let cpu = SavedCpu::running(boot::stack_top());
    let entity = Entity::new(cpu, true, pointer, account, None);
    {
        let mut scheduler = SCHEDULER.lock();
        scheduler.weighs = policy.weighs();
        scheduler.entities.insert(0, Box::new(entity));
    }
    irq::disable();
    percpu::with(|cpu| cpu.payload = pointer);
    irq::restore();
}

/// The running task.
#[must_use]
pub fn current() -> TaskId {
    TaskId(percpu::task())
}

/// How a task does, if it can still run.
#[must_use]
pub fn state(id: TaskId) -> Option<TaskState> {
    let mut scheduler = SCHEDULER.lock();
    let entity = scheduler.entity(id)?;
    Some(match entity.sleep {
        _ if id == TaskId::IDLE => TaskState::Idle,
        Some(sleep) => sleep.state(),
        None => TaskState::Running,
    })
}

/// Adds a task and makes it runnable, behind all others.
pub fn add(task: NewTask) {
    let NewTask {
        id,
        cpu,
        kernel,
        notify,
        pointer,
        account,
        payload,
    } = task;
    let mut entity = Box::new(Entity::new(cpu, kernel, pointer, account, Some(payload)));
    entity.notify = notify;
    entity.switched = notify;
    let mut scheduler = SCHEDULER.lock();
    if scheduler.weighs {
        entity.runtime = scheduler.floor.max(scheduler.running().runtime);
    }
    scheduler.ranked |= entity.is_unusual();
    scheduler.entities.insert(id.0, entity);
    scheduler.queue.push_back(id.0);
}

/// Switches to the next task. The running one has been queued, or put to
/// sleep, or declared dead.
fn switch_away(mut scheduler: SpinGuard<'_, Scheduler>, state: TaskState) {
    let prev = percpu::task();
    scheduler.account();
    if scheduler.weighs && prev != 0 {
        scheduler.weigh(state == TaskState::Running);
    }
    let next = scheduler.pick();
    percpu::with(|cpu| cpu.need_resched = false);
    slice::forget_end();
    let leaving = scheduler.running();
    if next != prev {
        let voluntary = state != TaskState::Running;
        leaving.account.clock.count_switch(voluntary);
    }
    leaving.switched |= leaving.notify && next != prev;
    let prev_cpu = &raw mut leaving.cpu;
    let entity = scheduler
        .entities
        .get_mut(&next)
        .expect("what is queued is known to the scheduler");
    let (pointer, next_cpu) = (entity.pointer, &raw mut entity.cpu);
    if next == 0 {
        slice::stop();
    } else {
        slice::start(
            entity.kernel,
            entity.is_endless(),
            entity.account.clock.until_alarm(),
        );
    }
    if next == prev {
        return;
    }
    // SAFETY: the lock is held; nobody changes the saved state.
    let root = unsafe { (*next_cpu).root };
    probe::emit(&SchedSwitch {
        prev: prev.into(),
        prev_state: if prev == 0 { TaskState::Idle } else { state }.into(),
        next: next.into(),
        cr3: if root == 0 { paging::root() } else { root },
    });
    let saved = percpu::with(|cpu| {
        cpu.task = next;
        cpu.payload = pointer;
        cpu.irq_saved
    });
    core::mem::forget(scheduler);
    // SAFETY: interrupts are off under the lock, which `finish_switch` opens on
    // the other side; entities are boxed and stay until they are dead.
    unsafe { context::switch(prev_cpu, next_cpu) };
    percpu::with(|cpu| cpu.irq_saved = saved);
    finish_switch();
}

/// Ends a switch on the side of the task that it came to: opens the
/// scheduler's lock and buries the task that will not come back.
pub fn finish_switch() {
    // SAFETY: `switch_away` has forgotten the guard on the way here.
    let mut scheduler = unsafe { SCHEDULER.adopt() };
    let dead = scheduler.dead.take();
    let dead = dead.and_then(|id| scheduler.entities.remove(&id));
    drop(scheduler);
    drop(dead);
}

/// Lets the others run first.
pub fn yield_now() {
    let mut scheduler = SCHEDULER.lock();
    if scheduler.weighs {
        // Whoever yields is not the one who has had least.
        let ids = scheduler.queue.iter();
        let others = ids.filter_map(|id| scheduler.entities.get(id));
        let least = others.map(|entity| entity.runtime).min();
        let running = scheduler.running();
        running.runtime = running.runtime.max(least.map_or(0, |least| least + 1));
    }
    slice::note_end();
    requeue(scheduler);
}

/// Switches, now that it is time to.
pub fn reschedule() {
    requeue(SCHEDULER.lock());
}

/// Queues the running task again. One that was preempted keeps its turn among
/// its equals, if there are ranks.
fn requeue(mut scheduler: SpinGuard<'_, Scheduler>) {
    let id = percpu::task();
    if id != 0 {
        if scheduler.ranked && !slice::has_ended() {
            scheduler.queue.push_front(id);
        } else {
            scheduler.queue.push_back(id);
        }
    }
    switch_away(scheduler, TaskState::Running);
}

/// Asks for a switch at the next chance.
pub fn request_resched() {
    irq::disable();
    percpu::with(|cpu| cpu.need_resched = true);
    irq::restore();
}

/// After an interrupt of kernel code: switches if it is time. Interrupts are off.
pub fn preempt() {
    if crate::mutant!("kthread-not-preempted") && SCHEDULER.lock().running().kernel {
        return;
    }
    if percpu::with(|cpu| cpu.need_resched && cpu.irq_depth == 0 && cpu.task != 0) {
        reschedule();
    }
}

/// Before user mode: is it time to switch, have others run, or does a signal
/// wait? Interrupts are off.
#[must_use]
pub fn pending_work() -> bool {
    let mut scheduler = SCHEDULER.lock();
    let entity = scheduler.running();
    let wants = entity.signal || entity.switched || entity.alarm;
    percpu::with(|cpu| cpu.need_resched) || wants
}

/// Says whether the running task wants to know when others have run.
pub fn set_notify(notify: bool) {
    let mut scheduler = SCHEDULER.lock();
    let entity = scheduler.running();
    entity.notify = notify;
    entity.switched = notify;
}

/// Have others run since this was last asked?
#[must_use]
pub fn take_switched() -> bool {
    core::mem::take(&mut SCHEDULER.lock().running().switched)
}

/// Counts what the running task has used of the CPU until now.
pub(super) fn account() {
    SCHEDULER.lock().account();
}

/// The alarm of the running task's CPU clock may have changed.
pub(super) fn arm_cpu_alarm() {
    let mut scheduler = SCHEDULER.lock();
    scheduler.account();
    let left = scheduler.running().account.clock.until_alarm();
    slice::set_alarm(left);
}

/// The running task's CPU clock has reached its alarm: it is to look.
pub(super) fn alarm() {
    SCHEDULER.lock().running().alarm = true;
}

/// Did the running task's CPU clock reach its alarm since this was last asked?
#[must_use]
pub fn take_alarm() -> bool {
    core::mem::take(&mut SCHEDULER.lock().running().alarm)
}

/// Changes what a task asked for. It is behind all of its new equals.
pub fn set_attributes(id: TaskId, account: &Account, attributes: Attributes) {
    let mut scheduler = SCHEDULER.lock();
    let moves = account.attributes().class != attributes.class;
    account.set_attributes(attributes);
    if let Some(entity) = scheduler.entity(id) {
        entity.attributes = attributes;
        changed(&mut scheduler, id, moves);
    }
}

/// Lends a task a real-time priority, or takes the loan back (0). False if
/// nothing changes.
pub fn set_boost(id: TaskId, priority: u8) -> bool {
    let mut scheduler = SCHEDULER.lock();
    let Some(entity) = scheduler.entity(id) else {
        return false;
    };
    let before = core::mem::replace(&mut entity.boost, priority);
    if before != priority {
        changed(&mut scheduler, id, true);
    }
    before != priority
}

/// The real-time priority at which a task runs, loans included; 0 if none.
#[must_use]
pub fn priority(id: TaskId) -> u8 {
    SCHEDULER
        .lock()
        .entity(id)
        .map_or(0, |entity| entity.priority())
}

/// A task's rank has changed: it may have to go behind its new equals, and
/// somebody else may have to run.
fn changed(scheduler: &mut Scheduler, id: TaskId, moves: bool) {
    scheduler.ranked |= scheduler
        .entity(id)
        .is_some_and(|entity| entity.is_unusual());
    let at = scheduler.queue.iter().position(|&queued| queued == id.0);
    if let Some(at) = at.filter(|_| moves) {
        scheduler.queue.remove(at);
        scheduler.queue.push_back(id.0);
    }
    let own = scheduler.rank(percpu::task());
    if scheduler.ranked && scheduler.queue.iter().any(|&id| scheduler.rank(id) > own) {
        percpu::with(|cpu| cpu.need_resched = true);
    }
    if id.0 == percpu::task() {
        let running = scheduler.running();
        let (kernel, endless) = (running.kernel, running.is_endless());
        let left = running.account.clock.until_alarm();
        slice::start(kernel, endless, left);
    }
}

/// Is it time to switch?
#[must_use]
pub fn wants_switch() -> bool {
    irq::disable();
    let wants = percpu::with(|cpu| cpu.need_resched);
    irq::restore();
    wants
}

/// A new wait begins: earlier wake-ups do not count.
pub(super) fn begin_wait() {
    SCHEDULER.lock().running().woken = false;
}

/// Sleeps unless somebody has woken the task since `begin_wait`, or a signal
/// that ends this kind of sleep is there.
pub(super) fn block(sleep: Sleep) {
    let mut scheduler = SCHEDULER.lock();
    let entity = scheduler.running();
    let ended = match sleep {
        Sleep::Interruptible => entity.signal,
        Sleep::Killable | Sleep::Stopped | Sleep::Traced => entity.fatal,
        Sleep::Uninterruptible | Sleep::TracedEnd => false,
    };
    if entity.woken || ended {
        return;
    }
    entity.sleep = Some(sleep);
    switch_away(scheduler, sleep.state());
}

/// Stops the running task until [`wake_stopped`] or a kill, if it `still` is
/// to stop when no wake-up can be missed any more.
pub fn stop_current(still: impl FnOnce() -> bool) {
    begin_wait();
    if still() {
        block(Sleep::Stopped);
    }
}

/// Wakes a task. False if it did not sleep, or is stopped.
pub fn wake(id: TaskId) -> bool {
    wake_if(id, |sleep| {
        !matches!(sleep, Sleep::Stopped | Sleep::Traced | Sleep::TracedEnd)
    })
}

/// Lets a stopped task go on.
pub fn wake_stopped(id: TaskId) -> bool {
    wake_if(id, |sleep| sleep == Sleep::Stopped)
}

/// Stops the running task until [`wake_traced`] or a kill, if it `still` is to
/// stop when no wake-up can be missed any more. One that `ends` is killed
/// already.
pub fn stop_for_tracer(ends: bool, still: impl FnOnce() -> bool) {
    begin_wait();
    if still() {
        block(if ends {
            Sleep::TracedEnd
        } else {
            Sleep::Traced
        });
    }
}

/// Lets a task go on that is stopped for its tracer.
pub fn wake_traced(id: TaskId) -> bool {
    wake_if(id, |sleep| {
        matches!(sleep, Sleep::Traced | Sleep::TracedEnd)
    })
}

fn wake_if(id: TaskId, which: impl Fn(Sleep) -> bool) -> bool {
    let mut scheduler = SCHEDULER.lock();
    let Some(entity) = scheduler.entity(id) else {
        return false;
    };
    match entity.sleep {
        Some(sleep) if which(sleep) => {
            entity.sleep = None;
            entity.woken = true;
            scheduler.make_runnable(id);
            true
        }
        Some(_) => false,
        None => {
            entity.woken = true;
            false
        }
    }
}

/// Says whether a signal waits for a task and whether it is to die; wakes it
/// if it sleeps in a way that such a signal ends.
pub fn set_signal(id: TaskId, pending: bool, fatal: bool) {
    let mut scheduler = SCHEDULER.lock();
    let Some(entity) = scheduler.entity(id) else {
        return;
    };
    // Who is to die is so for good.
    entity.fatal |= fatal;
    entity.signal = pending || entity.fatal;
    let fatal = entity.fatal;
    let ends = match entity.sleep {
        Some(Sleep::Interruptible) => entity.signal,
        Some(Sleep::Killable | Sleep::Stopped | Sleep::Traced) => fatal,
        Some(Sleep::Uninterruptible | Sleep::TracedEnd) | None => false,
    };
    if ends {
        entity.sleep = None;
        scheduler.make_runnable(id);
    }
}

/// True if a signal waits for the running task.
#[must_use]
pub fn signal_pending() -> bool {
    SCHEDULER.lock().running().signal
}

/// True if the running task is to die.
#[must_use]
pub fn fatal_pending() -> bool {
    SCHEDULER.lock().running().fatal
}

/// Gives the running task another number.
pub fn rename(to: TaskId) {
    let mut scheduler = SCHEDULER.lock();
    let from = percpu::task();
    if let Some(entity) = scheduler.entities.remove(&from) {
        scheduler.entities.insert(to.0, entity);
        percpu::with(|cpu| cpu.task = to.0);
    }
}

/// The running task has other page tables from here on; 0 is the kernel's own.
pub fn set_root(root: u64) {
    let mut scheduler = SCHEDULER.lock();
    scheduler.running().cpu.root = root;
    let root = if root == 0 {
        paging::kernel_root()
    } else {
        root
    };
    // SAFETY: every task's tables map the kernel.
    unsafe { paging::set_root(root) };
}

/// The running task's FS and GS bases in user mode.
#[must_use]
pub fn user_bases() -> (u64, u64) {
    let mut scheduler = SCHEDULER.lock();
    let cpu = &scheduler.running().cpu;
    (cpu.fs_base, cpu.gs_base)
}

/// Sets the running task's FS and GS bases.
pub fn set_user_bases(fs: u64, gs: u64) {
    let mut scheduler = SCHEDULER.lock();
    let cpu = &mut scheduler.running().cpu;
    cpu.fs_base = fs;
    cpu.gs_base = gs;
    // SAFETY: user bases; the kernel does not use them.
    unsafe {
        crate::arch::msr::write(crate::arch::msr::FS_BASE, fs);
        crate::arch::msr::write(crate::arch::msr::KERNEL_GS_BASE, gs);
    }
}

/// Works on the running task's x87, SSE and AVX state, as the CPU has it now.
/// `None` if it never runs in user mode.
pub fn with_fpu<R>(work: impl FnOnce(&mut FpuState) -> R) -> Option<R> {
    let mut scheduler = SCHEDULER.lock();
    let fpu = scheduler.running().cpu.fpu.as_mut()?;
    fpu.save();
    let result = work(fpu);
    fpu.load();
    Some(result)
}

/// Works on the x87, SSE and AVX state of a task that does not run. `None` if it
/// runs, is gone, or never runs in user mode.
pub fn with_fpu_of<R>(id: TaskId, work: impl FnOnce(&mut FpuState) -> R) -> Option<R> {
    let mut scheduler = SCHEDULER.lock();
    let entity = scheduler
        .entity(id)
        .filter(|entity| entity.sleep.is_some())?;
    entity.cpu.fpu.as_mut().map(work)
}

/// The FS and GS bases of a task that does not run.
pub fn bases_of(id: TaskId) -> Option<(u64, u64)> {
    let mut scheduler = SCHEDULER.lock();
    let cpu = &scheduler.entity(id)?.cpu;
    Some((cpu.fs_base, cpu.gs_base))
}

/// Sets the FS and GS bases of a task that does not run.
pub fn set_bases_of(id: TaskId, fs: u64, gs: u64) {
    if let Some(entity) = SCHEDULER.lock().entity(id) {
        entity.cpu.fs_base = fs;
        entity.cpu.gs_base = gs;
    }
}

/// Gives the running task this x87, SSE and AVX state; from here on it is one that
/// runs in user mode.
pub fn set_fpu(state: FpuState) {
    let mut scheduler = SCHEDULER.lock();
    let entity = scheduler.running();
    state.load();
    entity.kernel = false;
    let before = entity.cpu.fpu.replace(state);
    drop(scheduler);
    drop(before);
}

/// The running task's end. `last` is done when nothing can come between it and
/// the switch; it says whether somebody will wait for the task.
pub fn exit_current(last: impl FnOnce() -> TaskState) -> ! {
    irq::off();
    let state = last();
    let mut scheduler = SCHEDULER.lock();
    scheduler.dead = Some(percpu::task());
    switch_away(scheduler, state);
    unreachable!("a dead task does not come back");
}

/// The life of the idle task.
pub fn idle() -> ! {
    irq::off();
    loop {
        let scheduler = SCHEDULER.lock();
        if scheduler.queue.is_empty() {
            drop(scheduler);
            irq::wait();
        } else {
            switch_away(scheduler, TaskState::Idle);
        }
    }
}
