//! A golden's text, taken apart: what happened, and what it cost.

/// How the golden calls the phase from the last event to the end of the run.
const END: &str = "end at cycle ";

/// The cycles between two events, or after the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Phase<'a> {
    /// The event that ends it; [`Phase::LAST`] after the last event.
    pub(super) event: &'a str,
    /// How long it took.
    pub(super) cycles: u64,
    /// Where they went, if the golden says so: functions by name.
    pub(super) costs: Vec<(&'a str, u64)>,
}

impl Phase<'_> {
    /// What ends the last phase.
    pub(super) const LAST: &'static str = "the end";
}

/// A golden, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed<'a> {
    /// The hash of the kernel that an exact golden holds for.
    pub(super) kernel: Option<&'a str>,
    /// What happened: the lines without cycles and digests, with their numbers
    /// in the file, from 1 on.
    pub(super) lines: Vec<(usize, &'a str)>,
    /// What it cost; nothing below level `exact`.
    pub(super) phases: Vec<Phase<'a>>,
}

impl<'a> Parsed<'a> {
    /// Takes this text apart. A line that means nothing special is one of what
    /// happened, so that no change of it is lost.
    pub(super) fn new(text: &'a str) -> Self {
        let mut parsed = Parsed::default();
        let mut passed = 0;
        for (at, line) in text.lines().enumerate() {
            if let Some(hash) = line.strip_prefix("kernel ") {
                parsed.kernel = Some(hash);
            } else if let Some((cycles, name)) = cost(line)
                && let Some(phase) = parsed.phases.last_mut()
            {
                phase.costs.push((name, cycles));
            } else if let Some((cycles, event)) = timed(line) {
                passed += cycles;
                parsed.lines.push((at + 1, event));
                parsed.phases.push(Phase {
                    event,
                    cycles,
                    costs: Vec::new(),
                });
            } else if let Some(end) = line.strip_prefix(END).and_then(|end| end.parse().ok()) {
                parsed.phases.push(Phase {
                    event: Phase::LAST,
                    cycles: u64::saturating_sub(end, passed),
                    costs: Vec::new(),
                });
            } else if !line.starts_with("digest ") {
                parsed.lines.push((at + 1, line));
            }
        }
        parsed
    }
}

/// `+CYCLES EVENT`
fn timed(line: &str) -> Option<(u64, &str)> {
    let (cycles, event) = line.strip_prefix('+')?.split_once(' ')?;
    Some((cycles.parse().ok()?, event))
}

/// `  CYCLES FUNCTION`
fn cost(line: &str) -> Option<(u64, &str)> {
    let (cycles, name) = line.strip_prefix("  ")?.split_once(' ')?;
    Some((cycles.parse().ok()?, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_and_what_it_cost_are_told_apart() {
        let text = "# x\nlevel exact\nkernel k\nconsole\n|   7 x\nevents\n+5 a b=c\n  3 f\n  2 (user mode)\n+1 d\nend at cycle 10\n  4 g<T, U>\ndigest d\n";
        let parsed = Parsed::new(text);
        let lines: Vec<_> = parsed.lines.iter().map(|(_, line)| *line).collect();
        let happened = [
            "# x",
            "level exact",
            "console",
            "|   7 x",
            "events",
            "a b=c",
            "d",
        ];
        assert_eq!(lines, happened);
        assert_eq!(parsed.lines[6].0, 10);
        assert_eq!(parsed.kernel, Some("k"));
        let phase = |event, cycles, costs: &[(&'static str, u64)]| Phase {
            event,
            cycles,
            costs: costs.to_vec(),
        };
        assert_eq!(
            parsed.phases,
            [
                phase("a b=c", 5, &[("f", 3), ("(user mode)", 2)]),
                phase("d", 1, &[]),
                phase(Phase::LAST, 4, &[("g<T, U>", 4)]),
            ]
        );
    }
}
