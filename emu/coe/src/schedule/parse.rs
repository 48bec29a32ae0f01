//! From text to a [`Schedule`], with every mistake at its place.

use std::ops::Range;

use abi::choice::ChoiceKind;
use abi::event::EventId;

use super::{Action, Anchor, HEAD, Line, Schedule, What};
use crate::events::pattern::{Pattern, PatternError};
use crate::mistake::{Fault, Mistake};
use crate::names;

pub(super) const ANY: &str = "any";
const THEN: &str = "then";
pub(super) const START: &str = "start";
const ARROW: &str = "=>";
pub(super) const INTERRUPT: &str = "interrupt";
pub(super) const RUN: &str = "run";
pub(super) const POLICY: &str = "policy";
/// What a system call's name stands for.
pub(super) const SYSCALL: &str = "sys_enter nr=";

const FORM: &str = "TASK EVENT[N] FIELD=VALUE +INSTRUCTIONS => ACTION";
const ACTIONS: [&str; 6] = ["pick", "wake", "fail", INTERRUPT, RUN, POLICY];

/// The action that answers this kind of question.
pub(super) fn answer_word(kind: ChoiceKind) -> &'static str {
    match kind {
        ChoiceKind::PickNext => "pick",
        ChoiceKind::WakeFirst => "wake",
        ChoiceKind::AllocFail => "fail",
    }
}

pub(super) fn schedule(file: &str, text: &str) -> Result<Schedule, Box<Mistake>> {
    lines(file, text).map_err(|fault| Box::new(Mistake::new(fault, file, text)))
}

fn lines(file: &str, text: &str) -> Result<Schedule, Fault> {
    let mut lines = Vec::new();
    let mut headed = false;
    let mut start = 0;
    for (at, whole) in text.split_inclusive('\n').enumerate() {
        let span = start..start + whole.trim_end().len();
        let words = words(whole.trim_end(), start);
        start += whole.len();
        if words.is_empty() {
            continue;
        }
        if headed {
            let place = format!("{file}:{}", at + 1);
            lines.push(line(&words, &span, place)?);
        } else {
            head(&words, &span)?;
            headed = true;
        }
    }
    if headed {
        Ok(Schedule { lines })
    } else {
        Err(no_head(&(0..0)))
    }
}

fn no_head(span: &Range<usize>) -> Fault {
    Fault::new(
        span,
        "this is not a schedule",
        format!("expected `{HEAD}` as the first line"),
    )
    .help("`coe trace --format schedule TRACE` writes the schedule of a run")
}

fn head(words: &[Word<'_>], span: &Range<usize>) -> Result<(), Fault> {
    let given: Vec<_> = words.iter().map(|word| word.text).collect();
    match given.join(" ").as_str() {
        HEAD => Ok(()),
        other if other.starts_with("coe schedule ") => Err(Fault::new(
            span,
            "this coe does not read that version of schedules",
            format!("expected `{HEAD}`"),
        )),
        _ => Err(no_head(span)),
    }
}

/// A word and its place.
#[derive(Clone, Copy, Debug)]
struct Word<'a> {
    text: &'a str,
    start: usize,
}

impl Word<'_> {
    fn span(&self) -> Range<usize> {
        self.start..self.start + self.text.len()
    }
}

/// The words of a line up to its comment. A number sign before a digit begins
/// the name of a task that has none.
fn words(line: &str, start: usize) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    for text in line.split_whitespace() {
        let comment = text
            .strip_prefix('#')
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()));
        if comment {
            break;
        }
        let offset = text.as_ptr() as usize - line.as_ptr() as usize;
        words.push(Word {
            text,
            start: start + offset,
        });
    }
    words
}

fn line(words: &[Word<'_>], span: &Range<usize>, place: String) -> Result<Line, Fault> {
    let Some(arrow) = words.iter().position(|word| word.text == ARROW) else {
        let end = span.end..span.end;
        return Err(
            Fault::new(&end, "a line says what is done", "expected `=> ACTION`")
                .help(format!("write: {FORM}")),
        );
    };
    let anchor = anchor(&words[..arrow], &words[arrow].span())?;
    let action = action(&words[arrow + 1..], &words[arrow].span())?;
    if let (Action::Answer { .. } | Action::Policy, Some(_)) = (&action, anchor.plus) {
        let plus = words[arrow - 1].span();
        return Err(Fault::new(
            &plus,
            "only `interrupt` and `run` happen between events",
            "leave this out",
        )
        .help("`pick[2] TASK` answers the second question after the event"));
    }
    let interrupts = matches!(action, Action::Interrupt | Action::Run(_));
    if interrupts && anchor.what == What::Start && anchor.plus.is_none() {
        let message = "nothing can be interrupted at its birth";
        return Err(Fault::new(
            &words[arrow].span(),
            message,
            "expected as in start +1 =>",
        ));
    }
    Ok(Line {
        anchor,
        action,
        place,
    })
}

fn anchor(words: &[Word<'_>], arrow: &Range<usize>) -> Result<Anchor, Fault> {
    let then = words.first().is_some_and(|word| word.text == THEN);
    let words = &words[usize::from(then)..];
    let (task, event, rest) = match words {
        [task, event, rest @ ..] => (task, event, rest),
        _ => {
            return Err(
                Fault::new(arrow, "a line begins with a task and an event", "here")
                    .help(format!("write: {FORM}")),
            );
        }
    };
    let task = (task.text != ANY).then(|| task.text.to_owned());
    let (plus, fields) = match rest.split_last() {
        Some((last, fields)) if last.text.starts_with('+') => (Some(*last), fields),
        _ => (None, rest),
    };
    let (what, nth) = event_of(event, fields)?;
    let plus = plus
        .map(|plus| instructions(&plus, task.is_some()))
        .transpose()?;
    if what == What::Start && (task.is_none() || then || nth != 1) {
        let message = "`start` is a task's birth: it has a name and comes once";
        return Err(Fault::new(&event.span(), message, "here"));
    }
    Ok(Anchor {
        task,
        what,
        nth,
        then,
        plus,
    })
}

fn instructions(word: &Word<'_>, has_task: bool) -> Result<u64, Fault> {
    if !has_task {
        let message = "user instructions are counted for one task";
        return Err(Fault::new(
            &word.span(),
            message,
            "begin the line with its name",
        ));
    }
    match number(&word.text[1..]) {
        Some(count) if count > 0 => Ok(count),
        _ => Err(Fault::new(
            &word.span(),
            format!("`{}` is no number of user instructions", word.text),
            "expected as in +1_204",
        )),
    }
}

fn number(text: &str) -> Option<u64> {
    let starts = text.starts_with(|c: char| c.is_ascii_digit());
    starts.then(|| text.replace('_', "").parse().ok()).flatten()
}

/// `word` or `word[N]`.
fn counted<'a>(word: &Word<'a>) -> Result<(&'a str, u64), Fault> {
    let Some((name, rest)) = word.text.split_once('[') else {
        return Ok((word.text, 1));
    };
    match rest.strip_suffix(']').and_then(number) {
        Some(nth) if nth > 0 => Ok((name, nth)),
        _ => Err(Fault::new(
            &word.span(),
            format!("`{}` does not say which one", word.text),
            format!("expected as in {name}[2]"),
        )),
    }
}

/// The event and its fields, or a system call by its name.
fn event_of(event: &Word<'_>, fields: &[Word<'_>]) -> Result<(What, u64), Fault> {
    let (name, nth) = counted(event)?;
    if name == START && fields.is_empty() {
        return Ok((What::Start, nth));
    }
    let head = match names::syscalls::number(name) {
        _ if is_event(name) => name.to_owned(),
        Some(_) => format!("{SYSCALL}{name}"),
        None => return Err(no_event(event, name)),
    };
    let mut text = head.clone();
    for field in fields {
        // Each alone, so that a mistake has its own place.
        Pattern::parse(&format!("{head} {}", field.text))
            .map_err(|error| wrong_pattern(&field.span(), error))?;
        text = format!("{text} {}", field.text);
    }
    let pattern = Pattern::parse(&text).map_err(|error| wrong_pattern(&event.span(), error))?;
    Ok((What::Event(pattern), nth))
}

fn wrong_pattern(span: &Range<usize>, error: PatternError) -> Fault {
    let mut fault = Fault::new(span, error.message, "here");
    fault.help = error.hint;
    fault
}

/// The text of a pattern, a system call by its name alone where that reads as
/// the same pattern again.
pub(super) fn shortened(text: &str) -> &str {
    let call = text.strip_prefix(SYSCALL).filter(|rest| {
        let name = rest.split(' ').next().unwrap_or_default();
        !is_event(name) && names::syscalls::number(name).is_some()
    });
    call.unwrap_or(text)
}

fn is_event(name: &str) -> bool {
    EventId::ALL.iter().any(|id| id.name() == name)
}

fn no_event(event: &Word<'_>, name: &str) -> Fault {
    let events = EventId::ALL.iter().map(|id| id.name());
    let known = events.chain([START]).chain(names::syscalls::names());
    let message = format!("there is no event and no system call `{name}`");
    let fault = Fault::new(&event.span(), message, "here");
    match names::nearest(name, known) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None => fault.help("`coe trace` shows the events of a run by these names"),
    }
}

fn action(words: &[Word<'_>], arrow: &Range<usize>) -> Result<Action, Fault> {
    let Some((word, rest)) = words.split_first() else {
        let expected = format!("expected one of {}", ACTIONS.join(", "));
        return Err(Fault::new(arrow, "nothing is to be done here", expected));
    };
    let (name, nth) = counted(word)?;
    let kind = ChoiceKind::ALL
        .into_iter()
        .find(|kind| answer_word(*kind) == name);
    let wants_task = name == RUN || kind.is_some_and(|kind| kind != ChoiceKind::AllocFail);
    if !ACTIONS.contains(&name) {
        let fault = Fault::new(&word.span(), format!("there is no action `{name}`"), "here");
        return Err(match names::nearest(name, ACTIONS) {
            Some(near) => fault.help(format!("did you mean `{near}`?")),
            None => fault.help(format!("there are: {}", ACTIONS.join(", "))),
        });
    }
    if kind.is_none() && word.text != name {
        let label = "only answers have a number";
        return Err(Fault::new(
            &word.span(),
            format!("`{name}` happens once"),
            label,
        ));
    }
    let task = match (wants_task, rest) {
        (true, [task]) => Some(task.text.to_owned()),
        (false, []) => None,
        (true, []) => {
            let message = format!("`{name}` does not say which task");
            return Err(Fault::new(
                &word.span(),
                message,
                format!("expected {name} TASK"),
            ));
        }
        (_, more) => {
            let surplus = &more[usize::from(wants_task)];
            return Err(Fault::new(
                &surplus.span(),
                "the line ends before this",
                "here",
            ));
        }
    };
    Ok(match (kind, task) {
        (Some(kind), task) => Action::Answer { kind, nth, task },
        (None, Some(task)) => Action::Run(task),
        (None, None) if name == POLICY => Action::Policy,
        (None, None) => Action::Interrupt,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Line, Fault> {
        lines("x", &format!("{HEAD}\n{line}\n")).map(|mut schedule| schedule.lines.remove(0))
    }

    #[test]
    fn what_is_written_is_read_again() {
        let lines = [
            "main/1 futex[2] => pick main/2",
            "main/2 start +1204 => run main",
            "main/2 clone +1 => interrupt",
            "ksoftirqd/0 sched_wakeup[3] task=main/1 => pick[2] init",
            "main mmap => fail[17]",
            "main/1 write[4] => wake main/2",
            "any sys_exit[2] nr=clone task=main => run main/1",
            "then main page_fault kind=cow address=0x1000 => interrupt",
            "#99 sched_switch next=main => policy",
            // Both an event and a system call.
            "main futex_wake => interrupt",
            "main sys_enter nr=futex_wake => interrupt",
        ];
        for text in lines {
            assert_eq!(read(text).unwrap().to_string(), text);
        }
        let again = read("main  futex[1_0]\t+1_204=x => run main").is_err();
        assert!(again, "a field comes before the instructions");
        assert_eq!(
            read(" main  futex[1_0]\t+1_204  => run main/1 # a race")
                .unwrap()
                .to_string(),
            "main futex[10] +1204 => run main/1"
        );
    }

    #[test]
    fn lines_know_their_place_and_comments_are_none() {
        let text = format!("\n# why\n{HEAD} # version\n\n#why\nmain start => policy\n");
        let schedule = lines("x.schedule", &text).unwrap();
        assert_eq!(schedule.lines.len(), 1);
        assert_eq!(schedule.lines[0].place, "x.schedule:6");
        let bare = lines("x", HEAD).unwrap();
        assert!(bare.lines.is_empty());
    }

    #[test]
    fn mistakes_are_shown_where_they_are() {
        let mistakes = [
            ("main futx => interrupt", "futx"),
            ("main futex => intrrupt", "intrrupt"),
            ("main futex[0] => interrupt", "futex[0]"),
            ("main futex[x] => interrupt", "futex[x]"),
            ("main futex nr2=3 => interrupt", "nr2=3"),
            ("main futex +0 => interrupt", "+0"),
            ("any futex +3 => interrupt", "+3"),
            ("main futex +3 => pick main/1", "+3"),
            ("main start[2] => interrupt", "start[2]"),
            ("any start => interrupt", "start"),
            ("main start => interrupt", "=>"),
            ("main => interrupt", "=>"),
            ("main futex =>", "=>"),
            ("main futex => pick", "pick"),
            ("main futex => fail main", "main"),
            ("main futex => run main/1 now", "now"),
            ("main futex => run[2] main/1", "run[2]"),
        ];
        for (text, wrong) in mistakes {
            let fault = read(text).expect_err(text);
            let start = HEAD.len() + 1;
            let at = fault.span.start - start..fault.span.end - start;
            assert_eq!(&text[at], wrong, "{text}: {fault:?}");
        }
        assert_eq!(
            read("main futx => run x").unwrap_err().help.as_deref(),
            Some("did you mean `futex`?")
        );
        let fault = read("main futex").unwrap_err();
        assert_eq!(fault.span.start, HEAD.len() + 1 + "main futex".len());
    }

    #[test]
    fn other_texts_and_versions_are_refused() {
        for text in ["", "# only\n", "title = \"t\"", "main futex => interrupt"] {
            let fault = lines("x", text).unwrap_err();
            assert!(fault.message.contains("not a schedule"), "{text}");
        }
        let fault = lines("x", "coe schedule 2\n").unwrap_err();
        assert!(fault.message.contains("version"), "{fault:?}");
    }
}
