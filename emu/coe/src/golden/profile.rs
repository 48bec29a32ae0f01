//! Where a phase's cycles went: the kernel's functions, found by letting the
//! machine go one instruction at a time.

use std::collections::BTreeMap;
use std::ops::Range;

use machine::Machine;

use crate::symbols::Symbols;

/// Everything that runs in user mode, whatever program it is.
const USER: &str = "(user mode)";
/// The CPU is halted, from the HLT to what wakes it.
const ASLEEP: &str = "(asleep)";
/// The kernel at an address that no symbol covers.
const ELSEWHERE: &str = "(elsewhere)";

/// Where cycles go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    User,
    Asleep,
    Elsewhere,
    Kernel(usize),
}

/// The cycles of each place in one phase: names, sorted, each with more than none.
pub type Costs = Vec<(String, u64)>;

/// Counts cycles by place. An instruction's cycles belong to the function that
/// it stands in, also those of what it brings about: a fault, a walk of the page
/// tables, an interrupt that is taken before it.
#[derive(Clone, Debug)]
pub struct Profile {
    symbols: Symbols,
    /// Where the machine stands, and since when its cycles count for there.
    place: Place,
    since: u64,
    /// The addresses of the function that was looked up last: most steps stay
    /// in it.
    function: Range<u64>,
    index: usize,
    cycles: BTreeMap<Place, u64>,
}

impl Profile {
    /// Counts by the functions of this kernel.
    #[must_use]
    pub fn new(symbols: Symbols) -> Self {
        Profile {
            symbols,
            place: Place::Elsewhere,
            since: 0,
            function: 0..0,
            index: 0,
            cycles: BTreeMap::new(),
        }
    }

    /// The machine is about to execute an instruction.
    pub fn step(&mut self, machine: &Machine) {
        let cpu = machine.cpu();
        let place = if cpu.halted {
            Place::Asleep
        } else if cpu.cpl() == 3 {
            Place::User
        } else {
            self.kernel(cpu.rip)
        };
        self.enter(place, machine.cycle());
    }

    fn kernel(&mut self, rip: u64) -> Place {
        if !self.function.contains(&rip) {
            let Some(index) = self.symbols.index(rip) else {
                return Place::Elsewhere;
            };
            self.index = index;
            self.function = self.symbols.range(index);
        }
        Place::Kernel(self.index)
    }

    fn enter(&mut self, place: Place, cycle: u64) {
        if place != self.place {
            self.charge(cycle);
            self.place = place;
        }
    }

    fn charge(&mut self, cycle: u64) {
        if cycle > self.since {
            *self.cycles.entry(self.place).or_default() += cycle - self.since;
            self.since = cycle;
        }
    }

    /// A phase ends at this cycle: where its cycles went, by name.
    pub fn cut(&mut self, cycle: u64) -> Costs {
        self.charge(cycle);
        let mut costs = BTreeMap::<String, u64>::new();
        for (place, cycles) in std::mem::take(&mut self.cycles) {
            let name = match place {
                Place::User => USER.to_owned(),
                Place::Asleep => ASLEEP.to_owned(),
                Place::Elsewhere => ELSEWHERE.to_owned(),
                Place::Kernel(index) => short(self.symbols.name(index)),
            };
            *costs.entry(name).or_default() += cycles;
        }
        costs.into_iter().collect()
    }
}

/// The name with the arguments of its generic arguments left out: they can be as
/// long as a page, and tell functions of one name apart that a person counts as one.
fn short(name: &str) -> String {
    let mut text = String::new();
    let mut depth = 0_u32;
    for (at, letter) in name.char_indices() {
        match letter {
            '<' => {
                depth += 1;
                if depth <= 2 {
                    text.push('<');
                }
                if depth == 2 {
                    text.push('_');
                }
            }
            // The end of an arrow closes nothing.
            '>' if !name[..at].ends_with(['-', '=']) => {
                if depth <= 2 {
                    text.push('>');
                }
                depth = depth.saturating_sub(1);
            }
            _ if depth <= 1 => text.push(letter),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded;

    #[test]
    fn generic_arguments_of_generic_arguments_are_left_out() {
        for (name, expected) in [
            ("kernel::sched::run::wake", "kernel::sched::run::wake"),
            (
                "core::ptr::drop_in_place<alloc::sync::Arc<kernel::task::Task>>",
                "core::ptr::drop_in_place<alloc::sync::Arc<_>>",
            ),
            (
                "<alloc::vec::Vec<T,A> as core::ops::Drop>::drop",
                "<alloc::vec::Vec<_> as core::ops::Drop>::drop",
            ),
            (
                "f<fn(u8) -> a::B<c::D<e::F>>>::{{closure}}",
                "f<fn(u8) -> a::B<_>>::{{closure}}",
            ),
        ] {
            assert_eq!(short(name), expected);
        }
    }

    #[test]
    fn each_cycle_is_charged_once() {
        let symbols = Symbols::from_elf(embedded::KERNEL);
        let mut profile = Profile::new(symbols);
        profile.enter(Place::User, 100);
        profile.enter(Place::Kernel(3), 130);
        assert_eq!(
            profile.cut(140),
            [
                (ELSEWHERE.to_owned(), 100),
                (USER.to_owned(), 30),
                (short(profile.symbols.name(3)), 10),
            ]
        );
        // What the instruction still costs counts for the next phase.
        profile.enter(Place::Asleep, 145);
        let costs = profile.cut(1145);
        assert_eq!(costs.iter().map(|(_, cycles)| cycles).sum::<u64>(), 1005);
        assert!(costs.contains(&(ASLEEP.to_owned(), 1000)), "{costs:?}");
    }
}
