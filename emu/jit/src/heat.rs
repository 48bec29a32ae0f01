//! Which places are worth compiling: where samples find the interpreter, and
//! where regions are left for.

use rustc_hash::FxHashMap;

/// Bits of an address that samples are counted together for.
const NEAR: u32 = 7;

/// The most places that are known; beyond, all is forgotten.
const MOST_PLACES: usize = 1 << 20;

/// How often a region is left for a place before that is hot.
const FREQUENT: u32 = 8000;

/// What such an exit costs, in instructions of the interpreter.
const EXIT: u32 = 100;

/// The most instructions that one exit is charged with: what was interpreted
/// longer is found by samples.
const MOST_INTERPRETED: u32 = 20_000;

/// Whether samples of both are counted together.
pub(crate) fn are_near(a: u64, b: u64) -> bool {
    a >> NEAR == b >> NEAR
}

/// How often something was met since it was hot last, and how often it has to
/// be met to be hot again: twice as often each time, so that what cannot be
/// compiled is not tried for ever.
#[derive(Clone, Copy, Debug)]
struct Count {
    met: u32,
    wanted: u32,
}

impl Count {
    fn new(wanted: u32) -> Count {
        Count { met: 0, wanted }
    }

    /// Counts so much; whether it is hot now.
    fn note(&mut self, much: u32) -> bool {
        self.met = self.met.saturating_add(much);
        if self.met < self.wanted {
            return false;
        }
        self.met = 0;
        self.wanted = self.wanted.saturating_mul(2);
        true
    }
}

/// How often places were met.
#[derive(Debug)]
pub(crate) struct Heat {
    /// Samples that make a place hot.
    threshold: u32,
    /// By address without its low bits.
    samples: FxHashMap<u64, Count>,
    /// By address and rights.
    exits: FxHashMap<(u64, bool), Count>,
}

impl Heat {
    /// Nothing was met yet; so many samples will make a place hot.
    pub(crate) fn new(threshold: u32) -> Heat {
        Heat {
            threshold,
            samples: FxHashMap::default(),
            exits: FxHashMap::default(),
        }
    }

    /// Samples that make a place hot.
    pub(crate) fn threshold(&self) -> u32 {
        self.threshold
    }

    /// Forgets all of it.
    pub(crate) fn clear(&mut self) {
        self.samples.clear();
        self.exits.clear();
    }

    /// A sample found the interpreter here; whether that is a hot place.
    pub(crate) fn note_sample(&mut self, rip: u64) -> bool {
        if self.samples.len() > MOST_PLACES {
            self.samples.clear();
        }
        let wanted = Count::new(self.threshold);
        self.samples.entry(rip >> NEAR).or_insert(wanted).note(1)
    }

    /// A region was left for here; whether that is a hot place.
    pub(crate) fn note_exit(&mut self, key: (u64, bool)) -> bool {
        if self.exits.len() > MOST_PLACES {
            self.exits.clear();
        }
        let times = FREQUENT.min(self.threshold.saturating_mul(400));
        let wanted = Count::new(EXIT * times);
        self.exits.entry(key).or_insert(wanted).note(EXIT)
    }

    /// So many instructions were interpreted then, until there was compiled code
    /// again: that is what it costs not to have this place compiled.
    pub(crate) fn note_interpreted(&mut self, key: (u64, bool), insns: u64) {
        if let Some(count) = self.exits.get_mut(&key) {
            // The next exit tells.
            count.met = count
                .met
                .saturating_add(insns.min(u64::from(MOST_INTERPRETED)) as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_hot_has_to_be_met_twice_as_often() {
        let mut heat = Heat::new(3);
        let mut met = |times: u32| (0..times).filter(|_| heat.note_sample(0x1234)).count();
        assert_eq!(met(2), 0);
        assert_eq!(met(1), 1);
        assert_eq!(met(5), 0);
        assert_eq!(met(1), 1);
        assert!(!heat.note_sample(0x5678), "another place");
    }

    #[test]
    fn samples_nearby_count_together_and_exits_do_not() {
        let mut heat = Heat::new(2);
        assert!(!heat.note_sample(0x1000));
        assert!(heat.note_sample(0x1040));
        assert!((1..800).all(|_| !heat.note_exit((0x1000, false))));
        assert!(!heat.note_exit((0x1000, true)));
        assert!(heat.note_exit((0x1000, false)));
    }

    #[test]
    fn an_exit_counts_for_more_if_much_is_interpreted_then() {
        let mut heat = Heat::new(1);
        assert!(!heat.note_exit((0x1000, false)));
        for _ in 0..2 {
            heat.note_interpreted((0x1000, false), 200 * u64::from(EXIT));
            heat.note_interpreted((0x2000, false), 200 * u64::from(EXIT));
        }
        assert!(heat.note_exit((0x1000, false)));
        assert!(!heat.note_exit((0x2000, false)), "nobody was there before");
    }
}
