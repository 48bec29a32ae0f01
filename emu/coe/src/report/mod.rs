//! Events for people and for scripts.

pub mod jsonl;
pub mod perfetto;
pub mod text;

use machine::{Event, Payload};

use crate::events::{Line, Teller};

/// Turns events into lines, with the console's bytes put together as long as
/// nothing happens between them.
#[derive(Debug, Default)]
pub struct Lines {
    teller: Teller,
    console: Option<(Line, Vec<u8>)>,
}

impl Lines {
    /// The lines that are complete with this event.
    pub fn take(&mut self, event: &Event) -> Vec<Line> {
        let line = self.teller.tell(event);
        if let Payload::Console(byte) = event.payload {
            let (_, text) = self.console.get_or_insert((line, Vec::new()));
            text.push(byte);
            return if byte == b'\n' {
                self.finish()
            } else {
                Vec::new()
            };
        }
        let mut lines = self.finish();
        lines.push(line);
        lines
    }

    /// The number of the task that this CPU runs; 0 if it runs none.
    #[must_use]
    pub fn task(&self, cpu: u8) -> u32 {
        self.teller.task(cpu)
    }

    /// The name of the task with this number, as far as the events have told.
    #[must_use]
    pub fn name(&self, task: u32) -> String {
        self.teller.name(task)
    }

    /// What is left at the end.
    pub fn finish(&mut self) -> Vec<Line> {
        let line = self.console.take().map(|(mut line, text)| {
            line.fields = vec![("text", format!("{:?}", String::from_utf8_lossy(&text)))];
            line
        });
        line.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::tests::boot;
    use machine::Position;

    #[test]
    fn console_bytes_are_put_together_by_line() {
        let mut lines = Lines::default();
        let mut all: Vec<String> = Vec::new();
        let bytes = b"ab\r\nc".map(|byte| Event {
            at: Position::default(),
            payload: Payload::Console(byte),
        });
        for event in bytes.iter().chain(&boot()[..1]) {
            all.extend(lines.take(event).iter().map(ToString::to_string));
        }
        assert_eq!(
            all[..2],
            [r#"console text="ab\r\n""#, r#"console text="c""#]
        );
        assert!(all[2].starts_with("sched_process_fork"));
        assert!(lines.finish().is_empty());
    }
}
