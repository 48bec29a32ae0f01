//! The tables, and whether all agree.

use crate::measure::{Peer, Runs};
use crate::rows::{Kind, Row};

/// Prints everything; false if results differ.
pub(crate) fn print(rows: &[&'static Row], peers: &[Peer], runs: &Runs) -> bool {
    let report = Report { rows, peers, runs };
    report.work();
    report.operations();
    report.agree()
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

    /// As one of our engines counted them.
    fn instructions(&self, row: &Row) -> Option<u64> {
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
}
