//! The run queue and the switch.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};

use abi::choice::ChoiceKind;
use abi::event::{SchedSwitch, SchedWakeup, TaskState};

use super::entity::{Entity, NewTask, Sleep};
use super::policy::Policy;
use super::{TaskId, slice};
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
}

static SCHEDULER: SpinLock<Scheduler> = SpinLock::new(Scheduler {
    entities: BTreeMap::new(),
    queue: VecDeque::new(),
    dead: None,
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

    /// Takes the next task off the queue; the idle task if it is empty.
    fn pick(&mut self) -> u32 {
        let n = self.queue.len();
        if n < 2 {
            return self.queue.pop_front().unwrap_or(TaskId::IDLE.0);
        }
        let default = POLICY
            .get()
            .map_or(0, |policy| policy.default_pick(&self.queue));
        let candidates = self.queue.make_contiguous();
        let answer = probe::choose(ChoiceKind::PickNext, n as u32, default as u32, candidates);
        self.queue
            .remove(answer as usize)
            .expect("an answer is below the number of answers")
    }

    fn make_runnable(&mut self, id: TaskId) {
        self.queue.push_back(id.0);
        probe::emit(&SchedWakeup { task: id.into() });
    }
}

/// Makes the running code the idle task, and sets the policy.
pub fn init(policy: &'static dyn Policy, pointer: *const ()) {
    POLICY.set(policy);
    let entity = Entity {
        cpu: SavedCpu::running(boot::stack_top()),
        kernel: true,
        pointer,
        sleep: None,
        woken: false,
        notify: false,
        switched: false,
        signal: false,
        fatal: false,
        payload: None,
    };
    SCHEDULER.lock().entities.insert(0, Box::new(entity));
    irq::disable();
    percpu::with(|cpu| cpu.payload = pointer);
    irq::restore();
}

/// The running task.
#[must_use]
pub fn current() -> TaskId {
    TaskId(percpu::task())
}

/// Adds a task and makes it runnable, behind all others.
pub fn add(task: NewTask) {
    let entity = Box::new(Entity {
        cpu: task.cpu,
        kernel: task.kernel,
        pointer: task.pointer,
        sleep: None,
        woken: false,
        notify: task.notify,
        switched: task.notify,
        signal: false,
        fatal: false,
        payload: Some(task.payload),
    });
    let mut scheduler = SCHEDULER.lock();
    scheduler.entities.insert(task.id.0, entity);
    scheduler.queue.push_back(task.id.0);
}

/// Switches to the next task. The running one has been queued, or put to
/// sleep, or declared dead.
fn switch_away(mut scheduler: SpinGuard<'_, Scheduler>, state: TaskState) {
    let prev = percpu::task();
    let next = scheduler.pick();
    percpu::with(|cpu| cpu.need_resched = false);
    let leaving = scheduler.running();
    leaving.switched |= leaving.notify && next != prev;
    let prev_cpu = &raw mut leaving.cpu;
    let entity = scheduler
        .entities
        .get_mut(&next)
        .expect("what is queued is known to the scheduler");
    let (kernel, pointer, next_cpu) = (entity.kernel, entity.pointer, &raw mut entity.cpu);
    if next == prev {
        slice::start(kernel);
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
    if next == 0 {
        slice::stop();
    } else {
        slice::start(kernel);
    }
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
    requeue();
}

fn requeue() {
    let mut scheduler = SCHEDULER.lock();
    let id = percpu::task();
    if id != 0 {
        scheduler.queue.push_back(id);
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
    if percpu::with(|cpu| cpu.need_resched && cpu.irq_depth == 0 && cpu.task != 0) {
        requeue();
    }
}

/// Before user mode: is it time to switch, have others run, or does a signal
/// wait? Interrupts are off.
#[must_use]
pub fn pending_work() -> bool {
    let mut scheduler = SCHEDULER.lock();
    let entity = scheduler.running();
    let wants = entity.signal || entity.switched;
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
        Sleep::Killable | Sleep::Stopped => entity.fatal,
        Sleep::Uninterruptible => false,
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
    wake_if(id, |sleep| sleep != Sleep::Stopped)
}

/// Lets a stopped task go on.
pub fn wake_stopped(id: TaskId) -> bool {
    wake_if(id, |sleep| sleep == Sleep::Stopped)
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
        Some(Sleep::Killable | Sleep::Stopped) => fatal,
        Some(Sleep::Uninterruptible) | None => false,
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

/// Works on the running task's x87 and SSE state, as the CPU has it now.
/// `None` if it never runs in user mode.
pub fn with_fpu<R>(work: impl FnOnce(&mut FpuState) -> R) -> Option<R> {
    let mut scheduler = SCHEDULER.lock();
    let fpu = scheduler.running().cpu.fpu.as_mut()?;
    fpu.save();
    let result = work(fpu);
    fpu.load();
    Some(result)
}

/// Gives the running task this x87 and SSE state; from here on it is one that
/// runs in user mode.
pub fn set_fpu(state: Box<FpuState>) {
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
