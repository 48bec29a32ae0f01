//! The engine: compiled regions where there are some, the threaded interpreter
//! elsewhere.
//!
//! That runs in slices, and where it stands at the end of one, before a block, is a
//! sample of where the guest's time goes. A place that is met often enough is compiled;
//! from then on the interpreter stops before it.

use machine::CostModel;
use machine::addr::VirtAddr;
use machine::cpu::{CodeCache, CpuModel, Cx, Halt};
use machine::engine::Engine;
use rustc_hash::FxHashMap;
use threaded::Threaded;

use crate::code::enter;
use crate::compile::Compiler;
use crate::heat::{self, Heat};
use crate::places::{Places, tag};
use crate::plan::Plan;
use crate::region::Region;
use crate::state::{Reason, State};

/// How many samples make a place worth compiling.
const HOT: u32 = 20;

/// The most cycles from sample to sample.
const SLICE: u64 = 60_000;

/// A slice of more cycles for each instruction than this was spent inside of instructions: in
/// repeated string instructions, which are as fast without being compiled.
const LONG: u64 = 100;

/// So many slices in one while that is so: to interrupt strings costs more than to find late that
/// something else has become hot.
const SLICES: u64 = 8;

/// How far, in instructions, a jump to near a hot sample is waited for.
const SEARCH: u32 = 2000;

/// The most addresses that are known; beyond, all is forgotten.
const MOST_KNOWN: usize = 1 << 20;

/// The most bytes that compiled regions take; before there are more, all of them are dropped.
const MOST_BYTES: usize = 64 << 20;

/// What is known of an address.
#[derive(Clone, Copy, Debug)]
enum Known {
    /// An entry of a region.
    Entry { region: u32, entry: u32 },
    /// The same, but stays there were too short to be worth while.
    Idle { region: u32, entry: u32 },
    /// Nothing that could be compiled, as long as this is what stands there.
    Hopeless(Text),
}

/// What stands in the frame of some code: which one, and its generation.
type Text = Option<(u64, u32)>;

fn text(cx: &Cx<'_>) -> Text {
    let pa = cx.known_code()?;
    Some((pa.frame(), cx.bus.ram.generation(pa)))
}

/// The engine with the compiler.
#[derive(Debug)]
pub struct Jit {
    /// Made when something is to be compiled: many a machine never gets there.
    compiler: Option<Compiler>,
    interpreter: Threaded,
    /// Cycles from sample to sample.
    slice: u64,
    /// Where the time goes is inside of string instructions.
    in_strings: bool,
    regions: Vec<Region>,
    places: Places,
    /// By address and rights.
    known: FxHashMap<(u64, bool), Known>,
    heat: Heat,
    /// The place that a region was left for, and how many instructions had been
    /// retired then.
    left: Option<((u64, bool), u64)>,
    /// What the regions take, and the most that they may take.
    bytes: usize,
    most_bytes: usize,
    /// How often all regions were dropped.
    drops: u64,
    /// Compiles what it meets, and goes there, whether that is worth while or not.
    eager: bool,
    /// What regions were compiled for.
    kind: Option<(CostModel, CpuModel)>,
    code: CodeCache,
}

impl Jit {
    /// The engine, if there is one for this host.
    #[must_use]
    pub fn new() -> Option<Jit> {
        Jit::with_threshold(HOT, SLICE)
    }

    /// The engine that takes samples every `slice` cycles (at least one), and
    /// compiles what it has met `threshold` times.
    #[must_use]
    pub fn with_threshold(threshold: u32, slice: u64) -> Option<Jit> {
        Compiler::is_possible().then(|| Jit {
            compiler: None,
            interpreter: Threaded::default(),
            slice: slice.max(1),
            in_strings: false,
            regions: Vec::new(),
            places: Places::new(),
            known: FxHashMap::default(),
            heat: Heat::new(threshold),
            left: None,
            bytes: 0,
            most_bytes: MOST_BYTES,
            drops: 0,
            eager: false,
            kind: None,
            code: CodeCache::default(),
        })
    }

    /// The engine that compiles whatever can be compiled where it stands first, for tests: what it
    /// does is the same, but takes longer.
    #[must_use]
    pub fn eager() -> Option<Jit> {
        let mut jit = Jit::with_threshold(1, 100)?;
        jit.eager = true;
        Some(jit)
    }

    /// The same engine, but its regions take at most so many bytes of the host's memory. All are
    /// dropped before there are more; what needs more alone is not compiled.
    #[must_use]
    pub fn with_most_bytes(mut self, bytes: usize) -> Jit {
        self.most_bytes = bytes;
        self
    }

    /// Bytes of the host's memory that regions take now.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How often all regions were dropped, for want of room or for another kind of CPU.
    #[must_use]
    pub fn drops(&self) -> u64 {
        self.drops
    }

    fn clear(&mut self) {
        for (place, known) in &self.known {
            if matches!(known, Known::Entry { .. }) {
                self.interpreter.set_stop(place.0, place.1, false);
            }
        }
        self.regions.clear();
        self.places.clear();
        if let Some(compiler) = &mut self.compiler {
            compiler.arena().clear();
        }
        self.known.clear();
        self.heat.clear();
        self.left = None;
        self.bytes = 0;
        self.drops += 1;
    }

    /// Drops what was compiled for another kind of CPU.
    fn check_kind(&mut self, cx: &Cx<'_>) {
        let kind = Some((cx.cost, cx.cpu.model));
        if self.kind != kind {
            self.clear();
            self.kind = kind;
        }
    }

    /// The region and entry at RIP, if there are any for the CPU as it is.
    fn find(&mut self, cx: &Cx<'_>) -> Option<(u32, u32)> {
        let rip = cx.cpu.rip;
        let tag = tag(cx.code_epoch(), cx);
        if let Some(place) = self.places.find(rip, tag) {
            return Some((place.region, place.entry));
        }
        let (number, entry) = self.find_slowly(cx)?;
        let region = &self.regions[number as usize];
        if !region.fits(cx.cpu) {
            return None;
        }
        let code = region.code.address();
        self.places.note(rip, tag, code, number, entry);
        Some((number, entry))
    }

    fn find_slowly(&mut self, cx: &Cx<'_>) -> Option<(u32, u32)> {
        let key = (cx.cpu.rip, cx.is_user());
        let Known::Entry { region, entry } = *self.known.get(&key)? else {
            return None;
        };
        if self.regions[region as usize].is_valid(cx) {
            return Some((region, entry));
        }
        // Perhaps only its translation is not known. Code that has changed is
        // taken for new, and has to become hot again.
        if cx.known_code().is_some() {
            self.known.remove(&key);
            self.interpreter.set_stop(key.0, key.1, false);
        }
        None
    }

    /// Compiles what begins at RIP.
    #[cold]
    fn make(&mut self, cx: &mut Cx<'_>) {
        let key = (cx.cpu.rip, cx.is_user());
        let text = text(cx);
        match self.known.get(&key) {
            _ if text.is_none() => return,
            Some(Known::Entry { .. }) => return,
            Some(Known::Hopeless(same)) if *same == text => return,
            Some(&Known::Idle { region, .. }) if self.regions[region as usize].is_valid(cx) => {
                return self.set_active(region, key.1, true);
            }
            _ => {}
        }
        if self.known.len() > MOST_KNOWN {
            self.clear();
        }
        let (known, regions) = (&self.known, &self.regions);
        let is_entry = |va: u64| match known.get(&(va, key.1)) {
            Some(Known::Entry { region, .. }) => regions[*region as usize].is_large(),
            _ => false,
        };
        let plan = Plan::new(cx, &is_entry);
        let plan = plan.filter(|plan| self.eager || plan.is_worthwhile());
        if plan.as_ref().is_some_and(|plan| !plan.fits(cx.cpu)) {
            // Later, perhaps.
            return;
        }
        let number = self.regions.len() as u32;
        let Some(region) = plan.and_then(|plan| self.compile(plan, cx.cost, number)) else {
            self.known.insert(key, Known::Hopeless(text));
            return;
        };
        let bytes = region.bytes();
        if self.bytes + bytes > self.most_bytes {
            // Its own code is dropped with the others'.
            self.clear();
            match bytes > self.most_bytes {
                true => drop(self.known.insert(key, Known::Hopeless(text))),
                false => self.make(cx),
            }
            return;
        }
        self.bytes += bytes;
        for (entry, &va) in region.entries.iter().enumerate() {
            let entry = entry as u32;
            let region = number;
            let own = Known::Entry { region, entry };
            // What has a region of its own keeps it.
            let known = self.known.entry((va, key.1)).or_insert(own);
            if !matches!(known, Known::Entry { .. }) {
                *known = own;
            }
            self.interpreter.set_stop(va, key.1, true);
        }
        self.regions.push(region);
    }

    fn compile(&mut self, plan: Plan, model: CostModel, number: u32) -> Option<Region> {
        if self.compiler.is_none() {
            self.compiler = Compiler::new();
        }
        let compiler = self.compiler.as_mut()?;
        let region = compiler.compile(plan, model, number);
        if compiler.arena().has_lost() {
            self.clear();
        }
        region
    }

    /// Has the interpreter stop for a region's entries, or no longer.
    fn set_active(&mut self, number: u32, user: bool, on: bool) {
        for &va in &self.regions[number as usize].entries {
            let Some(known) = self.known.get_mut(&(va, user)) else {
                continue;
            };
            *known = match *known {
                Known::Entry { region, entry } if region == number && !on => {
                    Known::Idle { region, entry }
                }
                Known::Idle { region, entry } if region == number && on => {
                    Known::Entry { region, entry }
                }
                _ => continue,
            };
            self.interpreter.set_stop(va, user, on);
        }
        if !on {
            self.places.forget(number);
        }
    }

    /// Runs a region; true if the run goes on.
    fn enter(&mut self, cx: &mut Cx<'_>, region: u32, entry: u32) -> Result<bool, Halt> {
        let (user, retired, drops) = (cx.is_user(), cx.cpu.retired, self.drops);
        let result = self.stay(cx, region, entry);
        let carried_out = cx.cpu.retired.wrapping_sub(retired);
        // Another region may have been made for where it led, in its place.
        if !self.eager
            && self.drops == drops
            && self.regions[region as usize].stays.are_short(carried_out)
        {
            self.set_active(region, user, false);
        }
        result
    }

    /// Carries out compiled code, and what it is left for.
    fn stay(&mut self, cx: &mut Cx<'_>, region: u32, entry: u32) -> Result<bool, Halt> {
        let Some(compiler) = &self.compiler else {
            // There are no regions then.
            return Ok(true);
        };
        let mut state = State::new(cx, &self.regions, &self.places, compiler.fill_stub());
        let start = state.budget;
        let code = &self.regions[region as usize].code;
        let reason = enter(&mut state, compiler.gate(), code, entry.into());
        if reason == Reason::Aside {
            state.note_aside();
        }
        let rip = state.cx.cpu.rip;
        let insn = (reason == Reason::Aside).then(|| state.insn(rip));
        if reason != Reason::Settled {
            state.settle();
        }
        if let Some(halt) = state.halt.take() {
            return Err(halt);
        }
        let moved = state.budget != start;
        match reason {
            Reason::Next => self.note_exit(cx),
            Reason::Settled => {}
            _ if cx.cpu.cycle >= cx.deadline => {}
            Reason::Budget if moved => {}
            Reason::Budget => cx.step(&mut self.code)?,
            // The interpreter has ways of its own with some of them.
            Reason::Foreign => return self.interpret(cx),
            Reason::Aside => match insn.flatten() {
                Some(insn) => cx.step_known(&insn)?,
                None => cx.step(&mut self.code)?,
            },
        }
        Ok(!cx.wants_attention())
    }

    /// A region has been left for the place at RIP.
    fn note_exit(&mut self, cx: &mut Cx<'_>) {
        if self.find(cx).is_some() {
            return;
        }
        let key = (cx.cpu.rip, cx.is_user());
        match self.heat.note_exit(key) {
            true => self.make(cx),
            false => self.left = Some((key, cx.cpu.retired)),
        }
    }

    /// Goes on by the threaded interpreter, to the next place that is compiled
    /// or the next sample; true if the run goes on.
    fn interpret(&mut self, cx: &mut Cx<'_>) -> Result<bool, Halt> {
        let (cycle, retired) = (cx.cpu.cycle, cx.cpu.retired);
        let slices = if self.in_strings { SLICES } else { 1 };
        let until = cycle.saturating_add(self.slice.saturating_mul(slices));
        if self.interpreter.run_to_stop(cx, until)? {
            return self.stopped(cx);
        }
        if cx.wants_attention() {
            return Ok(false);
        }
        if cx.cpu.cycle >= cx.deadline {
            return Ok(true);
        }
        let insns = cx.cpu.retired.wrapping_sub(retired);
        self.in_strings = insns.saturating_mul(LONG) < cx.cpu.cycle - cycle;
        match self.in_strings {
            true => Ok(true),
            false => self.sample(cx),
        }
    }

    /// The interpreter stands before a place that is compiled. If that is of no
    /// use now, one step leads on.
    fn stopped(&mut self, cx: &mut Cx<'_>) -> Result<bool, Halt> {
        if let Some((key, retired)) = self.left.take() {
            let insns = cx.cpu.retired.wrapping_sub(retired);
            self.heat.note_interpreted(key, insns);
        }
        if self.usable(cx).is_none() {
            cx.step(&mut self.code)?;
        }
        Ok(!cx.wants_attention())
    }

    /// Counts where the CPU stands. Where that is hot, the next block nearby that is jumped to is
    /// compiled: what the CPU goes to first may be something else that is called.
    fn sample(&mut self, cx: &mut Cx<'_>) -> Result<bool, Halt> {
        let sampled = cx.cpu.rip;
        if cx.cpu.rep_iteration != 0 || !self.heat.note_sample(sampled) {
            return Ok(true);
        }
        let far = if self.eager { 0 } else { SEARCH };
        for _ in 0..far {
            let before = cx.cpu.rip;
            // A string instruction pauses at once: it is not what is looked for.
            let deadline = cx.deadline.min(cx.cpu.cycle + 1);
            let deadline = std::mem::replace(&mut cx.deadline, deadline);
            let result = cx.step(&mut self.code);
            cx.deadline = deadline;
            result?;
            if cx.wants_attention() {
                return Ok(false);
            }
            if cx.cpu.cycle >= cx.deadline || cx.cpu.rep_iteration != 0 {
                return Ok(true);
            }
            let jumped = cx.cpu.rip.wrapping_sub(before) >= 16;
            if jumped && heat::are_near(cx.cpu.rip, sampled) {
                break;
            }
        }
        self.make_here(cx);
        Ok(true)
    }

    /// Compiles what begins where the CPU stands, if nothing unusual is due.
    fn make_here(&mut self, cx: &mut Cx<'_>) {
        if cx.cpu.rep_iteration == 0 && cx.is_ordinary() && VirtAddr(cx.cpu.rip).is_canonical() {
            self.make(cx);
        }
    }

    /// The region at RIP if it can run now.
    fn usable(&mut self, cx: &Cx<'_>) -> Option<(u32, u32)> {
        if cx.cpu.halted || !cx.is_ordinary() {
            return None;
        }
        self.find(cx)
    }
}

impl Engine for Jit {
    fn name(&self) -> &'static str {
        "jit"
    }

    fn fresh(&self) -> Box<dyn Engine> {
        match Jit::with_threshold(self.heat.threshold(), self.slice) {
            Some(mut jit) => {
                jit.eager = self.eager;
                Box::new(jit.with_most_bytes(self.most_bytes))
            }
            // There has been one, so there is one; else slower is better than none.
            None => Box::new(machine::engine::Reference::default()),
        }
    }

    fn run(&mut self, cx: &mut Cx<'_>) -> Result<(), Halt> {
        self.check_kind(cx);
        while cx.cpu.cycle < cx.deadline {
            let goes_on = match self.usable(cx) {
                Some((region, entry)) => self.enter(cx, region, entry)?,
                None => self.interpret(cx)?,
            };
            if !goes_on {
                break;
            }
        }
        Ok(())
    }

    fn step(&mut self, cx: &mut Cx<'_>) -> Result<(), Halt> {
        cx.step(&mut self.code)
    }
}
