//! Where two runs part: the first event of the program's tasks that differs.

use serde_json::{Value, json};

use super::Run;
use crate::names::tasks::is_program_name;

/// Events that follow from which frames happened to be free, or that ask what
/// is always answered the same way: they say nothing about the order of tasks.
const DETAILS: [&str; 2] = ["mm_page_alloc", "mm_page_free"];

/// The places of the first differing events, `null` where there is none left;
/// `null` altogether if the runs do not differ.
pub(super) fn first(a: &Run, b: &Run) -> Value {
    let (mut left, mut right) = (told(a), told(b));
    loop {
        let (x, y) = (left.next(), right.next());
        let same = match (x, y) {
            (None, None) => return Value::Null,
            (Some(x), Some(y)) => {
                a.marks.by[x] == b.marks.by[y] && a.marks.words(x) == b.marks.words(y)
            }
            _ => false,
        };
        if !same {
            return json!([x, y]);
        }
    }
}

/// The places of the events by which runs are compared.
fn told(run: &Run) -> impl Iterator<Item = usize> {
    let marks = &run.marks;
    (0..marks.all.len()).filter(|at| {
        is_program_name(&marks.by[*at])
            && !DETAILS.contains(&marks.name(*at))
            && !marks.words(*at).starts_with("choice kind=alloc_fail")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::tests::{boot, kernel};
    use abi::event::EventId;

    fn run(last: [u64; 5], extra: bool) -> Run {
        let mut run = Run::default();
        let mut events = boot();
        events.push(kernel(10, EventId::SysEnter, [1, 0, 0, 0, 0]));
        if extra {
            events.push(kernel(11, EventId::MmPageAlloc, [77, 0, 0, 0, 0]));
        }
        events.push(kernel(12, EventId::SysExit, last));
        for event in &events {
            run.take(event);
        }
        run.finish(20, "exit 0".to_owned());
        run
    }

    #[test]
    fn frames_and_cycles_are_no_difference_and_results_are() {
        let a = run([1, 5, 0, 0, 0], false);
        assert_eq!(first(&a, &run([1, 5, 0, 0, 0], true)), Value::Null);
        assert_eq!(first(&a, &run([1, 6, 0, 0, 0], true)), json!([5, 6]));
    }
}
