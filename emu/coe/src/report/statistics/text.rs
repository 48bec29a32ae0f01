//! Statistics as tables.

use super::{Distribution, Quantiles, Statistics, Task};

/// So many functions are shown.
const PLACES: usize = 15;

/// A table whose first column stands left and all others right.
struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    fn new(head: &[&str]) -> Self {
        let head = head.iter().map(|word| (*word).to_owned()).collect();
        Table { rows: vec![head] }
    }

    fn row(&mut self, name: &str, cells: impl IntoIterator<Item = String>) {
        self.rows
            .push([name.to_owned()].into_iter().chain(cells).collect());
    }

    /// The table's lines; nothing if it has only its head.
    fn text(&self) -> String {
        if self.rows.len() < 2 {
            return String::new();
        }
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(String::len).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.rows[0].len()).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = format!("{:1$}", row[0], widths[0]);
            for (cell, width) in row.iter().zip(&widths).skip(1) {
                line.push_str(&format!("  {cell:>width$}"));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text.push('\n');
        text
    }
}

/// All tables. Times are in cycles.
#[must_use]
pub fn write(statistics: &Statistics) -> String {
    let parts = [
        times(statistics),
        counts(statistics),
        waits(statistics),
        places(statistics),
        calls(statistics),
        classes(statistics),
    ];
    let mut text = parts.concat();
    if statistics.rest() > 0 {
        text.push_str(&format!(
            "{} cycles come after the last event: nobody says who had them\n",
            grouped(statistics.rest())
        ));
    }
    text
}

fn times(statistics: &Statistics) -> String {
    let mut table = Table::new(&[
        "time (cycles)",
        "user",
        "kernel",
        "runnable",
        "asleep",
        "stopped",
    ]);
    for task in statistics.tasks() {
        let cells = [
            task.user,
            task.kernel,
            task.runnable.sum(),
            task.slept(),
            task.stopped.sum(),
        ];
        table.row(&task.name, cells.map(grouped));
    }
    table.text()
}

fn counts(statistics: &Statistics) -> String {
    let mut table = Table::new(&[
        "counts",
        "gave up",
        "preempted",
        "calls",
        "signals",
        "faults",
        "by kind",
    ]);
    for task in statistics.tasks() {
        let kinds: Vec<String> = task
            .faults
            .iter()
            .map(|(kind, count)| format!("{kind} {count}"))
            .collect();
        let cells = [
            task.voluntary,
            task.involuntary,
            task.call_count(),
            task.signals,
            task.fault_count(),
        ];
        table.row(
            &task.name,
            cells.map(grouped).into_iter().chain([kinds.join(", ")]),
        );
    }
    table.text()
}

const SPREAD: [&str; 4] = ["min", "median", "p95", "max"];

fn spread(distribution: &Distribution) -> [String; 4] {
    match distribution.quantiles() {
        None => [const { String::new() }; 4],
        Some(Quantiles {
            min,
            median,
            p95,
            max,
        }) => [min, median, p95, max].map(grouped),
    }
}

fn waits(statistics: &Statistics) -> String {
    let head = [&["waits (cycles)", "times", "in all"][..], &SPREAD].concat();
    let mut table = Table::new(&head);
    let mut row = |task: &Task, what: &str, waits: &Distribution| {
        if waits.count() > 0 {
            let cells = [waits.count(), waits.sum()].map(grouped);
            let cells = cells.into_iter().chain(spread(waits));
            table.row(&format!("{} {what}", task.name), cells);
        }
    };
    for task in statistics.tasks() {
        row(task, "for the CPU", &task.runnable);
        for (reason, waits) in &task.sleeping {
            row(task, &format!("in {reason}"), waits);
        }
        row(task, "stopped", &task.stopped);
    }
    table.text()
}

/// The functions that made the most page faults.
fn places(statistics: &Statistics) -> String {
    let mut table = Table::new(&["page faults in", "times"]);
    let places = statistics.places();
    for (place, count) in places.iter().take(PLACES) {
        table.row(place, [grouped(*count)]);
    }
    if let Some(more @ 1..) = places.len().checked_sub(PLACES) {
        let rest: u64 = places[PLACES..].iter().map(|(_, count)| count).sum();
        table.row(&format!("{more} others"), [grouped(rest)]);
    }
    table.text()
}

fn calls(statistics: &Statistics) -> String {
    let head = [&["system calls", "times", "errors", "cycles"][..], &SPREAD].concat();
    let mut table = Table::new(&head);
    for (name, call) in &statistics.calls() {
        let cells = [call.entered, call.errors, call.latency.sum()].map(grouped);
        table.row(name, cells.into_iter().chain(spread(&call.latency)));
    }
    table.text()
}

/// How long calls took by powers of two: `2^10: 3` are three calls from 1024 up
/// to below 2048 cycles.
fn classes(statistics: &Statistics) -> String {
    let calls = statistics.calls();
    let width = calls.keys().map(|name| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, call) in &calls {
        let classes = call.latency.histogram();
        if classes.is_empty() {
            continue;
        }
        let classes: Vec<String> = classes
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(class, count)| format!("2^{class}: {count}"))
            .collect();
        text.push_str(&format!("{name:width$}  {}\n", classes.join("  ")));
    }
    if text.is_empty() {
        return text;
    }
    format!("latency of system calls by powers of two (cycles: times)\n{text}\n")
}

/// `1234567` as `1_234_567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}
