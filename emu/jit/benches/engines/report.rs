//! The tables, the ratios, and whether they reach what is asked for.

use crate::measure::{Peer, Runs};
use crate::rows::{Kind, ROWS, Row};

/// Prints everything; false if results differ or a bar is missed.
pub(crate) fn print(rows: &[&'static Row], peers: &[Peer], runs: &Runs) -> bool {
    let report = Report { rows, peers, runs };
    report.work();
    report.operations();
    let agree = report.agree();
    let bars = report.bars();
    bars && agree
}

struct Report<'a> {
    rows: &'a [&'static Row],
    peers: &'a [Peer],
    runs: &'a Runs,
}

impl Report<'_> {
    /// Millions of guest instructions a second.
    fn work(&self) {
        self.heading("million instructions a second");
        let rows = self.rows.iter().filter(|row| row.kind != Kind::Operation);
        for row in rows {
            let count = self.instructions(row);
            self.line(row.title, |peer| {
                let time = self.runs.time(peer, row)?;
                Some(count? as f64 / time * 1e3)
            });
        }
        self.line("GM without c1", |peer| self.mean(peer, Report::mips));
    }

    /// Nanoseconds for each operation.
    fn operations(&self) {
        if self.rows.iter().all(|row| row.kind != Kind::Operation) {
            return;
        }
        self.heading("nanoseconds an operation (with guest instructions)");
        let rows = self.rows.iter().filter(|row| row.kind == Kind::Operation);
        for row in rows {
            let amount = self.runs.amount(row);
            let each = self
                .instructions(row)
                .map_or(String::new(), |count| format!(" ({})", count / amount));
            self.line(&format!("{}{each}", row.title), |peer| {
                Some(self.runs.time(peer, row)? / amount as f64)
            });
        }
    }

    fn heading(&self, what: &str) {
        print!("\n{what:<44}");
        for peer in self.peers {
            print!(" {peer:>10}");
        }
        println!();
    }

    fn line(&self, title: &str, figure: impl Fn(Peer) -> Option<f64>) {
        print!("{title:<44}");
        for peer in self.peers {
            match figure(*peer) {
                Some(figure) => print!(" {figure:>10.1}"),
                None => print!(" {:>10}", "-"),
            }
        }
        println!();
    }

    /// As one of our engines counted them; of strings the iterations.
    fn instructions(&self, row: &Row) -> Option<u64> {
        if row.kind == Kind::Strings {
            return Some(self.runs.amount(row) * ITERATIONS);
        }
        let samples = self
            .runs
            .samples
            .iter()
            .filter(|((_, name), _)| *name == row.name);
        samples
            .flat_map(|(_, samples)| samples)
            .find_map(|sample| sample.instructions)
    }

    fn mips(&self, peer: Peer, row: &Row) -> Option<f64> {
        Some(self.instructions(row)? as f64 / self.runs.time(peer, row)? * 1e3)
    }

    /// The geometric mean of a figure over all workloads but that of strings.
    fn mean(&self, peer: Peer, figure: impl Fn(&Self, Peer, &Row) -> Option<f64>) -> Option<f64> {
        let rows = self.rows.iter().filter(|row| row.kind == Kind::Work);
        let logs: Option<Vec<f64>> = rows
            .map(|row| Some(figure(self, peer, row)?.ln()))
            .collect();
        let logs = logs.filter(|logs| !logs.is_empty())?;
        Some((logs.iter().sum::<f64>() / logs.len() as f64).exp())
    }

    /// Whether all say the same results.
    fn agree(&self) -> bool {
        let mut good = true;
        for row in self.rows {
            let samples = self.peers.iter().filter_map(|peer| {
                let samples = self.runs.samples.get(&(*peer, row.name))?;
                Some(samples.iter().map(move |sample| (peer, &sample.result)))
            });
            let mut results = samples.flatten();
            let Some((first, expected)) = results.next() else {
                continue;
            };
            for (peer, result) in results.filter(|(_, result)| *result != expected) {
                println!("{}: {first} says {expected}, {peer} {result}", row.name);
                good = false;
            }
        }
        good
    }

    /// How many times as fast one is as another.
    fn speed(&self, one: Peer, other: Peer, row: &Row) -> Option<f64> {
        Some(self.runs.time(other, row)? / self.runs.time(one, row)?)
    }

    fn speed_in_mean(&self, one: Peer, other: Peer) -> Option<f64> {
        self.mean(one, |report, one, row| report.speed(one, other, row))
    }

    /// What is asked of the engines that were measured.
    fn bars(&self) -> bool {
        println!("\n{:<58} {:>8} {:>8}", "times as fast", "is", "at least");
        let mut good = true;
        for bar in BARS {
            for (what, is) in self.bar(bar) {
                let reached = is >= bar.least;
                let word = if reached { "" } else { "  missed" };
                println!("{what:<58} {is:>8.2} {:>8.2}{word}", bar.least);
                good &= reached;
            }
        }
        good
    }

    /// A bar's figures, each with its name; none if they were not measured.
    fn bar(&self, bar: &Bar) -> Vec<(String, f64)> {
        let (one, other) = (bar.one, bar.other);
        let title = |what: &str| format!("{one} to {other}: {what}");
        match bar.over {
            Over::Mean => {
                let speed = self.speed_in_mean(one, other);
                speed
                    .map(|speed| (title("GM"), speed))
                    .into_iter()
                    .collect()
            }
            Over::Rows(names) => {
                let rows = ROWS.iter().filter(|row| names(row.name));
                let figure = |row: &Row| Some((title(row.title), self.speed(one, other, row)?));
                rows.filter_map(figure).collect()
            }
        }
    }
}

/// Iterations of string instructions in a round of that workload.
const ITERATIONS: u64 = 16384 * 4 + 16384 / 4 + 16384 / 8;

/// One engine against another one.
struct Bar {
    one: Peer,
    other: Peer,
    over: Over,
    /// Times as fast.
    least: f64,
}

/// What a bar is about.
enum Over {
    Mean,
    /// Each row whose name is one of these.
    Rows(fn(&str) -> bool),
}

/// One engine against another one.
const fn bar(one: Peer, other: Peer, least: f64, over: Over) -> Bar {
    Bar {
        one,
        other,
        over,
        least,
    }
}

const BARS: &[Bar] = &[
    bar(Peer::Threaded, Peer::Icount, 0.6, Over::Mean),
    bar(Peer::Threaded, Peer::Icount, 1.0, Over::Rows(is_kernels)),
    bar(
        Peer::Jit,
        Peer::Icount,
        1.0,
        Over::Rows(|name| name != "strings"),
    ),
    bar(
        Peer::Jit,
        Peer::Icount,
        5.0,
        Over::Rows(|name| name == "strings"),
    ),
    bar(Peer::Jit, Peer::Tcg, 1.0, Over::Mean),
    bar(
        Peer::Jit,
        Peer::Tcg,
        2.5,
        Over::Rows(|name| name == "doubles"),
    ),
    bar(Peer::Jit, Peer::Threaded, 1.0 / 1.03, Over::Rows(|_| true)),
];

/// What kernels do all day, and interpreters should be good at.
fn is_kernels(name: &str) -> bool {
    ["fault", "cr3", "int80", "ipi", "port", "cold"].contains(&name)
}
