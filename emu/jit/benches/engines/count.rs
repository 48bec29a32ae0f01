//! The bar that times are too noisy for: `auto` beside the threaded interpreter, in instructions
//! of the host.

use std::path::Path;

use crate::child;
use crate::counter::Counter;
use crate::measure::{Peer, amount};
use crate::rows::Row;

/// Instructions of the threaded interpreter to one of `auto`.
const LEAST: f64 = 0.97;

/// Prints what each row takes; false if `auto` takes too many anywhere.
pub(crate) fn print(rows: &[&'static Row], kernel: &Path, scale: f64) -> bool {
    let Some(counter) = Counter::new() else {
        eprintln!("neither perf nor valgrind can count instructions here");
        return false;
    };
    let bench = std::env::current_exe().expect("this program has a path");
    let kernel = kernel.to_str().expect("a path in UTF-8");
    let count = |peer: Peer, row: &Row| {
        let line = format!("{}={}", row.name, amount(row, scale));
        counter.count(&bench, &[child::WORD, &peer.to_string(), kernel, &line])
    };
    println!(
        "{:<32} {:>12} {:>12} {:>8}",
        "millions of host instructions", "threaded", "jit", "ratio"
    );
    let mut good = true;
    for row in rows {
        let counts = [Peer::Threaded, Peer::Jit].map(|peer| count(peer, row) as f64);
        let ratio = counts[0] / counts[1];
        let word = if ratio < LEAST { "  missed" } else { "" };
        let [threaded, jit] = counts.map(|count| count / 1e6);
        println!(
            "{:<32} {threaded:>12.0} {jit:>12.0} {ratio:>8.3}{word}",
            row.title
        );
        good &= ratio >= LEAST;
    }
    good
}
