//! Every event of a run: when, on which lane, and its words.

use machine::Event;

use crate::events::Line;
use crate::report::Lines;
use crate::timeline::LaneId;

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) cycle: u64,
    /// The lane of the task that ran.
    pub(super) lane: LaneId,
    /// The place of its name in [`Marks::kinds`].
    pub(super) kind: u32,
    /// Where its words end in [`Marks::text`].
    pub(super) text_end: usize,
}

/// The events in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Marks {
    lines: Lines,
    /// The lane of the console's line that is not whole yet.
    console: Option<LaneId>,
    pub(super) all: Vec<Mark>,
    pub(super) kinds: Vec<&'static str>,
    /// The words of all events, each ended by a line feed.
    pub(super) text: String,
    /// By whom each was: the names at the time, for comparing runs.
    pub(super) by: Vec<String>,
}

impl Marks {
    pub(super) fn take(&mut self, event: &Event, lane: LaneId) {
        let is_console = matches!(event.payload, machine::Payload::Console(_));
        let begun = match is_console {
            true => *self.console.get_or_insert(lane),
            false => lane,
        };
        for line in self.lines.take(event) {
            let of_console = line.name == "console";
            let lane = match of_console {
                true => self.console.take().unwrap_or(begun),
                false => lane,
            };
            self.put(&line, lane);
        }
    }

    pub(super) fn finish(&mut self) {
        for line in self.lines.finish() {
            let lane = self.console.take().unwrap_or_default();
            self.put(&line, lane);
        }
    }

    fn put(&mut self, line: &Line, lane: LaneId) {
        let known = self.kinds.iter().position(|kind| *kind == line.name);
        let kind = known.unwrap_or_else(|| {
            self.kinds.push(line.name);
            self.kinds.len() - 1
        });
        self.text.push_str(&line.to_string().replace('\n', " "));
        self.text.push('\n');
        self.by.push(line.by.clone());
        self.all.push(Mark {
            cycle: line.at.cycle,
            lane,
            kind: kind as u32,
            text_end: self.text.len(),
        });
    }

    /// The words of the event at this place.
    pub(super) fn words(&self, at: usize) -> &str {
        let from = at.checked_sub(1).map_or(0, |at| self.all[at].text_end);
        self.text[from..self.all[at].text_end].trim_end()
    }

    /// The event's name.
    pub(super) fn name(&self, at: usize) -> &'static str {
        self.kinds[self.all[at].kind as usize]
    }
}
