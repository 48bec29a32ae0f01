//! Patterns of events in expectations: `sched_process_fork child=main/1`.

use abi::event::EventId;

use super::Line;
use crate::names;

/// An event's name and values that some of its fields must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    event: EventId,
    fields: Vec<(String, String)>,
}

/// What is wrong with a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// In a few words.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// An event or a field that the vocabulary does not have.
    pub fn parse(text: &str) -> Result<Pattern, PatternError> {
        let mut words = text.split_whitespace();
        let name = words.next().unwrap_or_default();
        let event = EventId::ALL.iter().copied().find(|id| id.name() == name);
        let Some(event) = event else {
            let known = EventId::ALL.iter().map(|id| id.name());
            return Err(unknown(format!("there is no event `{name}`"), name, known));
        };
        let fields = words
            .map(|word| field(event, word))
            .collect::<Result<_, _>>()?;
        Ok(Pattern {
            text: text.to_owned(),
            event,
            fields,
        })
    }

    /// True if the event is of that kind and has those values.
    #[must_use]
    pub fn matches(&self, line: &Line) -> bool {
        line.name == self.event.name()
            && self
                .fields
                .iter()
                .all(|(name, value)| line.get(name) == Some(value.as_str()))
    }

    /// The kind of event.
    #[must_use]
    pub fn event(&self) -> EventId {
        self.event
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

fn field(event: EventId, word: &str) -> Result<(String, String), PatternError> {
    let Some((name, value)) = word.split_once('=') else {
        let message = format!("`{word}` is not of the form field=value");
        return Err(PatternError {
            message,
            hint: None,
        });
    };
    let known = || {
        event
            .spec()
            .fields
            .iter()
            .map(|field| field.name)
            .chain(["task", "by"])
    };
    if !known().any(|known| known == name) {
        let message = format!("`{}` has no field `{name}`", event.name());
        return Err(unknown(message, name, known()));
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn unknown<'a>(
    message: String,
    word: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> PatternError {
    let hint = match names::nearest(word, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are: {}", known.collect::<Vec<_>>().join(", ")),
    };
    PatternError {
        message,
        hint: Some(hint),
    }
}

/// Finds patterns one after the other in a sequence of events.
#[derive(Clone, Debug)]
pub struct Search {
    patterns: Vec<Pattern>,
    found: usize,
}

impl Search {
    /// Starts with nothing found.
    #[must_use]
    pub fn new(patterns: &[Pattern]) -> Self {
        Search {
            patterns: patterns.to_vec(),
            found: 0,
        }
    }

    /// Looks at the next event.
    pub fn see(&mut self, line: &Line) {
        if self
            .patterns
            .get(self.found)
            .is_some_and(|pattern| pattern.matches(line))
        {
            self.found += 1;
        }
    }

    /// The first pattern that was not found after those before it.
    #[must_use]
    pub fn missing(&self) -> Option<(usize, &Pattern)> {
        Some((self.found, self.patterns.get(self.found)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Teller;
    use super::super::tests::{boot, kernel};
    use super::*;

    #[test]
    fn unknown_events_and_fields_are_refused_with_a_suggestion() {
        let error = Pattern::parse("sched_proces_fork child=main/1").unwrap_err();
        assert_eq!(
            error.hint.as_deref(),
            Some("did you mean `sched_process_fork`?")
        );
        let error = Pattern::parse("page_fault kin=cow").unwrap_err();
        assert_eq!(error.hint.as_deref(), Some("did you mean `kind`?"));
        assert!(Pattern::parse("page_fault kind").is_err());
        assert!(Pattern::parse("").is_err());
    }

    #[test]
    fn a_search_wants_the_order_and_allows_anything_between() {
        let patterns = [
            "sched_process_fork child=main/1",
            "page_fault kind=cow task=main",
        ]
        .map(|text| Pattern::parse(text).unwrap());
        let fork = kernel(5, EventId::SchedProcessFork, [4, 5, 5, 17, 0]);
        let other = kernel(6, EventId::SysEnter, [1, 0, 0, 0, 0]);
        let fault = kernel(7, EventId::PageFault, [2, 0, 0, 0, 0]);
        let missing = |events: [&machine::Event; 3]| {
            let (mut teller, mut search) = (Teller::default(), Search::new(&patterns));
            for event in boot().iter().chain(events) {
                search.see(&teller.tell(event));
            }
            search.missing().map(|(at, _)| at)
        };
        assert_eq!(missing([&fork, &other, &fault]), None);
        assert_eq!(missing([&fault, &fork, &other]), Some(1));
        assert_eq!(missing([&fault, &other, &other]), Some(0));
    }
}
