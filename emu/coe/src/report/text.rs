//! One event per line, for people.

use crate::events::Line;

/// `cycle [task] event field=value ...`
#[must_use]
pub fn line(line: &Line) -> String {
    format!("{:>12} [{}] {line}", line.at.cycle, line.by)
}
