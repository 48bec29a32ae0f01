//! The engine: compiled regions where there are some, the reference interpreter
//! elsewhere.

use machine::CostModel;
use machine::cpu::{CodeCache, CpuModel, Cx, Halt};
use machine::engine::Engine;
use rustc_hash::FxHashMap;

use crate::code::enter;
use crate::compile::Compiler;
use crate::plan::Plan;
use crate::region::Region;
use crate::state::{Reason, State};

/// How often a place is met before it is compiled.
const HOT: u32 = 2000;

/// Places of the cache of entries.
const PLACES: usize = 4096;

/// The most bytes of compiled code; beyond, all of it is dropped.
const MOST_BYTES: usize = 64 << 20;

/// An entry of a region, found before.
#[derive(Clone, Copy, Debug)]
struct Place {
    rip: u64,
    /// Epoch and rights under which the region was found valid.
    tag: u64,
    region: u32,
    entry: u32,
}

const NOWHERE: Place = Place {
    rip: 0,
    tag: u64::MAX,
    region: 0,
    entry: 0,
};

/// What is known of an address that code was entered at.
#[derive(Clone, Copy, Debug)]
enum Known {
    /// Met this often.
    Met(u32),
    /// An entry of a region.
    Entry { region: u32, entry: u32 },
    /// Nothing that could be compiled.
    Hopeless,
}

/// The engine with the compiler.
#[derive(Debug)]
pub struct Jit {
    compiler: Compiler,
    threshold: u32,
    regions: Vec<Region>,
    places: Box<[Place]>,
    /// By address and rights.
    known: FxHashMap<(u64, bool), Known>,
    bytes: usize,
    /// What regions were compiled for.
    kind: Option<(CostModel, CpuModel)>,
    code: CodeCache,
}

impl Jit {
    /// The engine, if there is one for this host.
    #[must_use]
    pub fn new() -> Option<Jit> {
        Jit::with_threshold(HOT)
    }

    /// The engine that compiles what it has met that often.
    #[must_use]
    pub fn with_threshold(threshold: u32) -> Option<Jit> {
        Some(Jit {
            compiler: Compiler::new()?,
            threshold,
            regions: Vec::new(),
            places: vec![NOWHERE; PLACES].into(),
            known: FxHashMap::default(),
            bytes: 0,
            kind: None,
            code: CodeCache::default(),
        })
    }

    fn clear(&mut self) {
        self.regions.clear();
        self.places.fill(NOWHERE);
        self.known.clear();
        self.bytes = 0;
    }

    /// Drops what was compiled for another kind of CPU.
    fn check_kind(&mut self, cx: &Cx<'_>) {
        let kind = Some((cx.cost, cx.cpu.model));
        if self.kind != kind {
            self.clear();
            self.kind = kind;
        }
    }

    /// The region and entry at RIP, if there are any and nothing unusual is due.
    fn find(&mut self, cx: &mut Cx<'_>) -> Option<(u32, u32)> {
        let rip = cx.cpu.rip;
        let tag = cx.code_epoch() << 1 | u64::from(cx.is_user());
        let at = (rip ^ rip >> 12) as usize % PLACES;
        let place = self.places[at];
        if place.rip == rip && place.tag == tag {
            return Some((place.region, place.entry));
        }
        let (region, entry) = self.find_slowly(cx)?;
        self.places[at] = Place {
            rip,
            tag,
            region,
            entry,
        };
        Some((region, entry))
    }

    fn find_slowly(&mut self, cx: &mut Cx<'_>) -> Option<(u32, u32)> {
        let key = (cx.cpu.rip, cx.is_user());
        let known = self.known.entry(key).or_insert(Known::Met(0));
        match known {
            Known::Hopeless => None,
            Known::Met(times) if *times < self.threshold => {
                *times += 1;
                None
            }
            Known::Met(_) => self.make(cx, key),
            Known::Entry { region, entry } => {
                let (region, entry) = (*region, *entry);
                if self.regions[region as usize].is_valid(cx) {
                    return Some((region, entry));
                }
                // Perhaps only its translation is not known; code that changes
                // is not compiled again at once.
                cx.known_code()?;
                *known = Known::Met(0);
                None
            }
        }
    }

    #[cold]
    fn make(&mut self, cx: &mut Cx<'_>, key: (u64, bool)) -> Option<(u32, u32)> {
        cx.known_code()?;
        if self.bytes > MOST_BYTES {
            self.clear();
        }
        let plan = Plan::new(cx);
        if plan.as_ref().is_some_and(|plan| !plan.fits(cx.cpu)) {
            // Later, perhaps.
            self.known.insert(key, Known::Met(0));
            return None;
        }
        let region = plan.and_then(|plan| self.compiler.compile(plan, cx.cost));
        let Some(region) = region else {
            self.known.insert(key, Known::Hopeless);
            return None;
        };
        self.bytes += region.code.len();
        let number = self.regions.len() as u32;
        for (entry, &va) in region.entries.iter().enumerate() {
            let entry = entry as u32;
            let region = number;
            let own = Known::Entry { region, entry };
            // What has a region of its own keeps it.
            let known = self.known.entry((va, key.1)).or_insert(own);
            if va == key.0 || !matches!(known, Known::Entry { .. }) {
                *known = own;
            }
        }
        self.regions.push(region);
        Some((number, 0))
    }

    /// Runs a region; true if the run goes on.
    fn enter(&mut self, cx: &mut Cx<'_>, region: u32, entry: u32) -> Result<bool, Halt> {
        let region = &self.regions[region as usize];
        let mut state = State::new(cx, region, self.compiler.fill_stub());
        let start = state.budget;
        let reason = enter(&mut state, entry.into());
        if reason != Reason::Settled {
            state.settle();
        }
        if let Some(halt) = state.halt.take() {
            return Err(halt);
        }
        let moved = state.budget != start;
        match reason {
            Reason::Next | Reason::Settled => {}
            _ if cx.cpu.cycle >= cx.deadline => {}
            Reason::Budget if moved => {}
            Reason::Budget | Reason::Foreign => cx.step(&mut self.code)?,
            Reason::Aside => match region.insn(cx.cpu.rip) {
                Some(insn) => cx.step_known(&insn)?,
                None => cx.step(&mut self.code)?,
            },
        }
        Ok(!cx.wants_attention())
    }

    /// Steps by the reference interpreter up to the next jump; true if the run
    /// goes on.
    fn cold(&mut self, cx: &mut Cx<'_>) -> Result<bool, Halt> {
        loop {
            let before = cx.cpu.rip;
            cx.step(&mut self.code)?;
            if cx.wants_attention() {
                return Ok(false);
            }
            let near = cx.cpu.rip.wrapping_sub(before) < 16;
            if !near || cx.cpu.cycle >= cx.deadline {
                return Ok(true);
            }
        }
    }
}

impl Engine for Jit {
    fn name(&self) -> &'static str {
        "jit"
    }

    fn fresh(&self) -> Box<dyn Engine> {
        match Jit::with_threshold(self.threshold) {
            Some(jit) => Box::new(jit),
            // There has been one, so there is one; else slower is better than none.
            None => Box::new(machine::engine::Reference::default()),
        }
    }

    fn run(&mut self, cx: &mut Cx<'_>) -> Result<(), Halt> {
        self.check_kind(cx);
        while cx.cpu.cycle < cx.deadline {
            let ordinary = !cx.cpu.halted && cx.is_ordinary();
            let goes_on = match ordinary.then(|| self.find(cx)).flatten() {
                Some((region, entry)) if self.regions[region as usize].fits(cx.cpu) => {
                    self.enter(cx, region, entry)?
                }
                _ => self.cold(cx)?,
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
