//! The machine: owns all state, runs the CPU, and keeps time.
//!
//! Time is the CPU's cycle counter. What is due at a cycle (a queued input, the
//! APIC timer) happens at the first instruction boundary at or after it, right
//! before the next instruction. So the state at a boundary does not depend on
//! how the way there was cut into calls of [`Machine::run`] or
//! [`Machine::step`].

mod checkpoint;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use abi::choice::ChoiceKind;
use abi::event::EventId;
use abi::probe::{ARGS, TEXT_MAX};
use serde::{Deserialize, Serialize};

use crate::addr::{PAGE_SIZE, VirtAddr};
use crate::bus::ram::Ram;
use crate::bus::{Bus, Signal};
use crate::cost::CostModel;
use crate::cpu::decode;
use crate::cpu::interrupt::nmi_pending;
use crate::cpu::paging::paging_of;
use crate::cpu::random::Random;
use crate::cpu::state::flag;
use crate::cpu::{Cpu, CpuModel, Cx, Halt};
use crate::devices::disk::Contents;
use crate::devices::virtio_blk::VirtioBlk;
use crate::engine::{Engine, Slot};
use crate::event::{Choice, Event, Host, Input, InputError, Missing, Payload, Position};
use crate::loader::{self, Images, LoadError};
use crate::mmu::Mmu;
pub use checkpoint::Checkpoint;

/// The longest list of candidates that a choice may name.
const MOST_CANDIDATES: u32 = 4096;

/// The longest instruction, for [`Missing::bytes`].
const MOST_BYTES: usize = 15;

const RAX: usize = 0;
const RSI: usize = 6;
const RDI: usize = 7;

/// What a machine is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Bytes of RAM: a whole number of MiB, from 16 MiB to 16 GiB.
    pub memory: u64,
    /// CPUs: 1.
    pub cpus: u8,
    /// Which CPU it is: what it announces and executes.
    pub cpu: CpuModel,
    /// The scenario's seed.
    pub seed: u64,
    /// What everything costs.
    pub cost: CostModel,
    /// What the real-time clock says at power-on: seconds since 1970.
    pub epoch: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            memory: 64 << 20,
            cpus: 1,
            cpu: CpuModel::default(),
            seed: 1,
            cost: CostModel::Standard,
            epoch: 1_000_000_000,
        }
    }
}

impl Config {
    fn check(&self) -> Result<(), LoadError> {
        let whole = self.memory.is_multiple_of(loader::MEMORY_UNIT);
        if !whole || !loader::MEMORY.contains(&self.memory) {
            return Err(LoadError::Memory(self.memory));
        }
        if self.cpus != 1 {
            return Err(LoadError::Cpus(self.cpus));
        }
        Ok(())
    }
}

/// Why the machine returned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stop {
    /// The cycle that was asked for has been reached.
    Deadline,
    /// The guest wrote this to the debug-exit port.
    Exit(u32),
    /// The CPU is halted and nothing queued can ever wake it.
    Idle,
    /// An exception while a double fault was delivered.
    TripleFault {
        /// The instruction.
        rip: u64,
        /// The last exception.
        vector: u8,
    },
    /// Something that the machine announces is not there.
    Missing(Missing),
    /// The guest had itself reset, which is the end here.
    Reset,
    /// The guest switched the power off.
    PowerOff,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Deadline => write!(f, "the cycle limit was reached"),
            Stop::Exit(value) => write!(f, "the guest wrote {value:#x} to the debug-exit port"),
            Stop::Reset => write!(f, "the guest reset the machine"),
            Stop::PowerOff => write!(f, "the guest switched the machine off"),
            Stop::Idle => write!(f, "the CPU is halted and nothing can ever wake it"),
            Stop::TripleFault { rip, vector } => {
                write!(
                    f,
                    "triple fault at {rip:#x}, the last exception was {vector}"
                )
            }
            Stop::Missing(missing) => missing.fmt(f),
        }
    }
}

/// A virtual address that no page table maps, so that nobody can look there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unmapped(pub u64);

impl fmt::Display for Unmapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nothing is mapped at {:#x}", self.0)
    }
}

impl core::error::Error for Unmapped {}

/// An input that waits for its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Queued {
    at: u64,
    input: Input,
}

/// A whole computer. Everything that it knows is in this one value.
#[derive(Serialize, Deserialize)]
pub struct Machine {
    config: Config,
    cpu: Cpu,
    mmu: Mmu,
    bus: Bus,
    /// Inputs by time; those of the same time in the order of their arrival.
    queue: VecDeque<Queued>,
    /// How many choices the kernel has asked for, of each kind.
    choices: [u64; ChoiceKind::ALL.len()],
    /// A stop after which nothing happens any more.
    stopped: Option<Stop>,
    /// Host only: what carries out instructions.
    #[serde(skip)]
    engine: Slot,
}

impl Clone for Machine {
    /// Pages of RAM are shared until either machine writes to them.
    fn clone(&self) -> Self {
        Machine {
            config: self.config.clone(),
            cpu: self.cpu.clone(),
            mmu: self.mmu.clone(),
            bus: self.bus.fork(),
            queue: self.queue.clone(),
            choices: self.choices,
            stopped: self.stopped.clone(),
            engine: self.engine.clone(),
        }
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Machine({:?}, rip {:#x})", self.position(), self.cpu.rip)
    }
}

impl Machine {
    /// A machine that is about to execute the kernel's first instruction.
    ///
    /// # Errors
    /// If the configuration is not possible or the images do not fit it.
    pub fn boot(config: &Config, images: &Images<'_>) -> Result<Machine, LoadError> {
        config.check()?;
        let mut bus = Bus::new(config.memory, config.epoch);
        if let Some(image) = images.disk {
            let contents = Contents::new(image).ok_or(LoadError::Disk(image.len() as u64))?;
            bus.disk = Some(VirtioBlk::new(contents));
        }
        let start = loader::load(&mut bus.ram, images, config.cpus)?;
        Ok(Machine {
            config: config.clone(),
            cpu: Cpu {
                model: config.cpu,
                random: Random::new(config.seed, 0),
                ..Cpu::pvh(start.entry, start.start_info)
            },
            mmu: Mmu::default(),
            bus,
            queue: VecDeque::new(),
            choices: [0; ChoiceKind::ALL.len()],
            stopped: None,
            engine: Slot::default(),
        })
    }

    /// Has this engine carry out instructions from here on: a new machine, and
    /// one that was restored, have the reference interpreter. What is computed
    /// is the same with each.
    pub fn set_engine(&mut self, engine: Box<dyn Engine>) {
        self.engine = Slot(engine);
    }

    /// The engine that carries out instructions.
    #[must_use]
    pub fn engine(&self) -> &dyn Engine {
        &*self.engine.0
    }

    /// Runs to the first boundary at which the cycle counter has reached
    /// `until`, or until there is another reason to stop. Time in which the CPU
    /// is halted is skipped.
    pub fn run(&mut self, until: u64, host: &mut dyn Host) -> Stop {
        loop {
            match self.run_awake(until, host) {
                Some(stop) => return stop,
                None => self.sleep(until),
            }
        }
    }

    /// As [`Machine::run`], but returns none where the CPU has halted and
    /// something is due that may wake it: [`Machine::wakes_at`] says when, and
    /// [`Machine::sleep`] passes the time until then.
    pub fn run_awake(&mut self, until: u64, host: &mut dyn Host) -> Option<Stop> {
        loop {
            if self.stopped.is_some() {
                return self.stopped.clone();
            }
            if self.cpu.cycle >= until {
                return Some(Stop::Deadline);
            }
            self.deliver_due(host);
            if self.is_asleep() {
                return self.next_wake().is_none().then_some(Stop::Idle);
            }
            let alarm = self.alarm(host);
            let deadline = until.min(self.next_due()).min(self.not_before(alarm));
            let mut cx = Cx::new(
                &mut self.cpu,
                &mut self.mmu,
                &mut self.bus,
                self.config.cost,
                deadline,
            );
            let result = self.engine.0.run(&mut cx);
            self.settle(result, host);
            self.ring(alarm, host);
        }
    }

    /// The cycle at which a halted CPU hears of something again; none if
    /// nothing is due, or if it is awake.
    #[must_use]
    pub fn wakes_at(&self) -> Option<u64> {
        let at = self.is_asleep().then(|| self.next_wake()).flatten()?;
        Some(at.max(self.cpu.cycle))
    }

    /// Passes the time of a halted CPU until the next thing is due, but not
    /// beyond `until`. A CPU that is awake, or that nothing can wake, stays
    /// where it is.
    pub fn sleep(&mut self, until: u64) {
        if let Some(at) = self.wakes_at() {
            self.cpu.cycle = at.min(until).max(self.cpu.cycle);
        }
    }

    /// One instruction, one iteration of a REP instruction, one interrupt
    /// delivery, or the way from a HLT to what comes next.
    pub fn step(&mut self, host: &mut dyn Host) -> Option<Stop> {
        if self.stopped.is_some() {
            return self.stopped.clone();
        }
        self.deliver_due(host);
        if self.is_asleep() {
            let Some(at) = self.next_wake() else {
                return Some(Stop::Idle);
            };
            self.cpu.cycle = at.max(self.cpu.cycle);
            return None;
        }
        let at_once = self.cpu.cycle;
        let alarm = self.alarm(host);
        let mut cx = Cx::new(
            &mut self.cpu,
            &mut self.mmu,
            &mut self.bus,
            self.config.cost,
            at_once,
        );
        let result = self.engine.0.step(&mut cx);
        self.settle(result, host);
        self.ring(alarm, host);
        self.stopped.clone()
    }

    /// Queues an input for a cycle that has not passed.
    ///
    /// # Errors
    /// If the cycle has passed, or the vector is one that cannot be delivered.
    pub fn push_input(&mut self, at: u64, input: Input) -> Result<(), InputError> {
        if at < self.cpu.cycle {
            return Err(InputError::Past {
                at,
                now: self.cpu.cycle,
            });
        }
        if let Input::Interrupt(vector) = input
            && vector < 16
        {
            return Err(InputError::Vector(vector));
        }
        let place = self.queue.partition_point(|queued| queued.at <= at);
        self.queue.insert(place, Queued { at, input });
        Ok(())
    }

    /// Cycles since power-on.
    #[must_use]
    pub fn cycle(&self) -> u64 {
        self.cpu.cycle
    }

    /// The boundary at which the machine stands.
    #[must_use]
    pub fn position(&self) -> Position {
        Position {
            cycle: self.cpu.cycle,
            cpu: 0,
            retired: self.cpu.retired,
            rep: self.cpu.rep_iteration,
            user: self.cpu.cycles_in_user(),
            retired_user: self.cpu.retired_user,
            mode_since: self.cpu.mode_since,
        }
    }

    /// Instructions that have been completed.
    #[must_use]
    pub fn retired(&self) -> u64 {
        self.cpu.retired
    }

    /// Those of them that ran at CPL 3.
    #[must_use]
    pub fn retired_user(&self) -> u64 {
        self.cpu.retired_user
    }

    /// What the machine was made of.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The CPU, for those who watch.
    #[must_use]
    pub fn cpu(&self) -> &Cpu {
        &self.cpu
    }

    /// What is on the disk now, if there is one.
    #[must_use]
    pub fn disk(&self) -> Option<&Contents> {
        self.bus.disk.as_ref().map(VirtioBlk::contents)
    }

    /// Reads memory as the page tables show it, without touching the TLB.
    ///
    /// # Errors
    /// If a page is not mapped, or not to RAM; `buf` is then filled up to there.
    pub fn read_virtual(&self, va: u64, buf: &mut [u8]) -> Result<(), Unmapped> {
        let paging = paging_of(&self.cpu);
        let mut va = VirtAddr(va);
        let mut rest = buf;
        while !rest.is_empty() {
            let room = (PAGE_SIZE - va.offset()) as usize;
            let len = room.min(rest.len());
            let pa = Mmu::look(&self.bus, &paging, va).ok_or(Unmapped(va.0))?;
            let page = self.bus.ram.page(pa).ok_or(Unmapped(va.0))?;
            let (now, later) = rest.split_at_mut(len);
            let start = pa.offset() as usize;
            now.copy_from_slice(&page[start..start + len]);
            va = va.add(len as u64);
            rest = later;
        }
        Ok(())
    }

    /// Lets everything happen whose time has come.
    fn deliver_due(&mut self, host: &mut dyn Host) {
        let now = self.cpu.cycle;
        while let Some(queued) = self.queue.front().copied()
            && queued.at <= now
        {
            self.queue.pop_front();
            match queued.input {
                Input::Console(byte) => self.bus.devices.receive(byte),
                Input::Interrupt(vector) => self.bus.devices.apic.request(vector, false),
            }
            self.emit(host, Payload::Input(queued.input));
        }
        self.bus.advance(now);
    }

    /// The host's alarm, if it lies ahead.
    fn alarm(&self, host: &dyn Host) -> Option<u64> {
        host.alarm().filter(|at| *at > self.cpu.retired_user)
    }

    /// A cycle before which the alarm is not reached: no instruction costs less
    /// than one. So what runs counts nothing for the alarm's sake; the machine
    /// comes nearer in ever smaller runs.
    fn not_before(&self, alarm: Option<u64>) -> u64 {
        alarm.map_or(u64::MAX, |at| {
            self.cpu.cycle.saturating_add(at - self.cpu.retired_user)
        })
    }

    /// Tells the host if its alarm, which lay ahead, has been reached.
    fn ring(&mut self, alarm: Option<u64>, host: &mut dyn Host) {
        if alarm == Some(self.cpu.retired_user)
            && let Some(input) = host.reached()
        {
            let at = self.cpu.cycle;
            self.queue.push_front(Queued { at, input });
        }
    }

    /// The next cycle at which something happens by itself.
    fn next_due(&self) -> u64 {
        let input = self.queue.front().map_or(u64::MAX, |queued| queued.at);
        let device = self.bus.deadline().unwrap_or(u64::MAX);
        input.min(device)
    }

    /// True if the CPU is halted and no interrupt wakes it right now.
    fn is_asleep(&self) -> bool {
        let interrupt = self.cpu.flag(flag::IF) && self.bus.interrupt();
        self.cpu.halted && !interrupt && !nmi_pending(&self.cpu, &self.bus)
    }

    /// The next cycle at which something happens that might wake the CPU.
    fn next_wake(&self) -> Option<u64> {
        let hopeless =
            self.queue.is_empty() && !self.bus.devices.will_interrupt() && !self.bus.disk_works();
        let deaf = !self.cpu.flag(flag::IF);
        (!hopeless && !deaf).then(|| self.next_due())
    }

    /// Looks at what the CPU has left behind after an instruction.
    fn settle(&mut self, result: Result<(), Halt>, host: &mut dyn Host) {
        if self.bus.attention() {
            for signal in self.bus.take_signals() {
                self.serve(signal, host);
            }
        }
        match result {
            Ok(()) => {}
            Err(Halt::Triple(vector)) => {
                self.stopped = Some(Stop::TripleFault {
                    rip: self.cpu.rip,
                    vector,
                });
            }
            Err(Halt::Missing(what)) => {
                let rip = self.cpu.rip;
                let bytes = self.read_as_far(rip, MOST_BYTES);
                let what = match what.as_str() {
                    decode::UNNAMED => decode::name(&bytes, self.cpu.code_bits(), self.cpu.model),
                    _ => what,
                };
                self.stopped = Some(Stop::Missing(Missing { what, rip, bytes }));
            }
        }
    }

    fn serve(&mut self, signal: Signal, host: &mut dyn Host) {
        match signal {
            Signal::Console(byte) => self.emit(host, Payload::Console(byte)),
            Signal::Exit(value) => self.stopped = Some(Stop::Exit(value)),
            Signal::Reset => self.stopped = Some(Stop::Reset),
            Signal::PowerOff => self.stopped = Some(Stop::PowerOff),
            Signal::Trace(id) => {
                let payload = self.tracepoint(id);
                self.emit(host, payload);
            }
            Signal::Choice(kind) => self.choose(kind, host),
        }
    }

    fn emit(&mut self, host: &mut dyn Host, payload: Payload) {
        host.event(Event {
            at: self.position(),
            payload,
        });
        if let Some(input) = host.interject() {
            let at = self.cpu.cycle;
            self.queue.push_front(Queued { at, input });
        }
    }

    /// The event that the probe's registers describe.
    fn tracepoint(&self, id: u32) -> Payload {
        let Some(id) = EventId::from_raw(id) else {
            return Payload::Unknown { id };
        };
        let gpr = &self.cpu.gpr;
        let args = [gpr[RDI], gpr[RSI], gpr[8], gpr[9], gpr[10]];
        let text = if id.spec().has_text() {
            let len = args[ARGS - 1].min(TEXT_MAX as u64) as usize;
            self.read_as_far(args[ARGS - 2], len)
        } else {
            Vec::new()
        };
        Payload::Kernel { id, args, text }
    }

    /// Puts the kernel's question to the host, and the answer into `eax`.
    fn choose(&mut self, kind: u32, host: &mut dyn Host) {
        let gpr = &self.cpu.gpr;
        let (n, default, list) = (gpr[RDI] as u32, gpr[RSI] as u32, gpr[8]);
        let Some(kind) = ChoiceKind::from_raw(kind).filter(|_| default < n) else {
            // Not a question: nobody is asked and the default stands.
            self.cpu.gpr[RAX] = u64::from(default);
            return;
        };
        let count = &mut self.choices[kind as usize - 1];
        let index = *count;
        *count += 1;
        let choice = Choice {
            kind,
            n,
            default,
            candidates: self.candidates(list, n),
            index,
        };
        let answer = host.choose(&choice);
        let answer = if answer < n { answer } else { default };
        self.cpu.gpr[RAX] = u64::from(answer);
        self.emit(host, Payload::Choice { choice, answer });
    }

    fn candidates(&self, list: u64, n: u32) -> Vec<u32> {
        if list == 0 || n > MOST_CANDIDATES {
            return Vec::new();
        }
        let bytes = self.read_as_far(list, n as usize * 4);
        let (words, _) = bytes.as_chunks();
        words.iter().map(|word| u32::from_le_bytes(*word)).collect()
    }

    /// Up to `len` bytes, as far as pages are mapped.
    fn read_as_far(&self, va: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        if let Err(Unmapped(end)) = self.read_virtual(va, &mut bytes) {
            bytes.truncate(end.wrapping_sub(va) as usize);
        }
        bytes
    }

    /// Everything but the contents of RAM, as the same bytes for the same state.
    pub(crate) fn state(&self) -> Vec<u8> {
        // Serialising to a vector fails for no type that is in the state.
        postcard::to_allocvec(self).unwrap_or_default()
    }

    /// A machine with this state and empty RAM.
    pub(crate) fn from_state(bytes: &[u8]) -> Option<Machine> {
        let (mut machine, rest) = postcard::take_from_bytes::<Machine>(bytes).ok()?;
        let fits = machine.config.check().is_ok()
            && machine.bus.ram.size() == machine.config.memory
            && machine.cpu.model == machine.config.cpu
            && machine.mmu.is_sound();
        if !fits || !rest.is_empty() {
            return None;
        }
        machine.bus.ram.allocate();
        Some(machine)
    }

    /// Takes what is in the other machine's memory; false if that has another size.
    pub(crate) fn take_memory(&mut self, from: Machine) -> bool {
        let fits = self.config.memory == from.config.memory;
        if fits {
            self.bus.ram = from.bus.ram;
        }
        fits
    }

    /// The disk's registers, as the same bytes for the same state.
    pub(crate) fn disk_state(&self) -> Option<Vec<u8>> {
        let disk = self.bus.disk.as_ref()?;
        Some(postcard::to_allocvec(disk).unwrap_or_default())
    }

    /// Gives the machine a disk with these registers, full of zeros.
    pub(crate) fn restore_disk(&mut self, state: &[u8]) -> Option<&mut Contents> {
        let (disk, rest) = postcard::take_from_bytes::<VirtioBlk>(state).ok()?;
        if !rest.is_empty() {
            return None;
        }
        self.bus.disk.insert(disk).allocate()
    }

    pub(crate) fn ram(&self) -> &Ram {
        &self.bus.ram
    }

    pub(crate) fn ram_mut(&mut self) -> &mut Ram {
        &mut self.bus.ram
    }
}

#[cfg(test)]
mod tests;
