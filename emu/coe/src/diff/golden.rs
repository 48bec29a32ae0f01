//! A golden as a side of a comparison.

use super::side::{Side, Step};

/// The line with which every golden says what it is.
const LEVEL: &str = "level ";

/// True if this text is a golden.
#[must_use]
pub fn is_golden(text: &str) -> bool {
    text.starts_with('#')
        && text
            .lines()
            .nth(1)
            .is_some_and(|line| line.starts_with(LEVEL))
}

/// Reads a golden of whatever level; only an exact one has cycles.
#[must_use]
pub fn parse(name: &str, text: &str) -> Side {
    let mut side = Side {
        name: name.to_owned(),
        ..Side::default()
    };
    let mut in_events = false;
    let mut cycle = 0;
    for line in text.lines() {
        if let Some(level) = line.strip_prefix(LEVEL) {
            side.timed = level == "exact";
        } else if let Some(hash) = line.strip_prefix("kernel ") {
            side.kernel = Some(hash.to_owned());
        } else if let Some(ending) = line.strip_prefix("ending ") {
            ending.clone_into(&mut side.ending);
        } else if let Some(shown) = line.strip_prefix("| ") {
            side.console.push(shown.to_owned());
        } else if line == "events" {
            in_events = true;
        } else if line.starts_with("end at cycle ") {
            in_events = false;
        } else if in_events && !line.starts_with(char::is_whitespace) {
            side.steps.push(step(line, &mut cycle));
        }
    }
    side
}

/// `event field=value ...`, at level `exact` after `+CYCLES `.
fn step(line: &str, cycle: &mut u64) -> Step {
    let timed = line.strip_prefix('+').and_then(|rest| {
        let (gain, event) = rest.split_once(' ')?;
        Some((gain.parse::<u64>().ok()?, event))
    });
    let key = match timed {
        Some((gain, event)) => {
            *cycle += gain;
            event
        }
        None => line,
    };
    let field = |name: &str| {
        let mut words = key.split(' ');
        words.find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    };
    let task = ["parent", "next", "task"].into_iter().find_map(field);
    Step {
        task: task.unwrap_or_default().to_owned(),
        key: key.to_owned(),
        cycle: *cycle,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXACT: &str = "# What\nlevel exact\nkernel k1\ncost model 1\nending exit 0\nconsole\n| hi there\nevents\n+7 sched_process_exec task=main filename=/bin/p\n  3 do_exec\n+5 sys_exit task=main nr=write ret=5\nend at cycle 20\ndigest d\n";

    #[test]
    fn an_exact_golden_has_cycles_steps_and_an_end() {
        assert!(is_golden(EXACT) && !is_golden("title = \"x\"\nlevel = 3"));
        let side = parse("g", EXACT);
        assert!(side.timed);
        assert_eq!(
            (side.ending.as_str(), side.kernel.as_deref(), side.console),
            ("exit 0", Some("k1"), vec!["hi there".to_owned()])
        );
        let steps: Vec<_> = side
            .steps
            .iter()
            .map(|step| (step.task.as_str(), step.cycle))
            .collect();
        assert_eq!(steps, [("main", 7), ("main", 12)]);
        assert_eq!(side.steps[1].key, "sys_exit task=main nr=write ret=5");
    }
}
