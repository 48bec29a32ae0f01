//! Events for people and for scripts.

pub mod html;
pub mod jsonl;
pub mod perfetto;
pub mod schema;
pub mod statistics;
pub mod text;

use machine::{Event, Payload};

use crate::events::{Line, Teller};

/// Turns events into lines, with the console's bytes put together as long as
/// nothing happens between them.
#[derive(Clone, Debug, Default)]
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

/// A field's text as it was before it was quoted.
fn unquoted(value: &str) -> String {
    let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    let Some(inner) = inner else {
        return value.to_owned();
    };
    let mut text = String::new();
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match rest.next() {
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('0') => text.push('\0'),
            // `\u{1b}`
            Some('u') => {
                let digits: String = rest.by_ref().skip(1).take_while(|c| *c != '}').collect();
                let code = u32::from_str_radix(&digits, 16).ok();
                text.extend(code.and_then(char::from_u32));
            }
            Some(other) => text.push(other),
            None => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_becomes_what_it_was() {
        for text in ["", "a b", "\"\\\0\r\n\t'", "\u{1b}[0m \u{e9} \u{fffd}"] {
            assert_eq!(unquoted(&format!("{text:?}")), text);
        }
        assert_eq!(unquoted("/bin/p"), "/bin/p");
    }
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
