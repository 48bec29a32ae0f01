//! How fast the engines are beside QEMU and Bochs, on one kernel that all of
//! them start (`tests/kernels/workloads`).
//!
//! `cargo bench -p jit --bench engines -- [ROW...] [--engines a,b] [--rounds N]
//! [--scale F]` runs every row on every engine in turn, so many rounds, each in
//! a process of its own on one CPU, and takes medians of CPU time. Ratios are
//! what counts: figures of one run are comparable, those of two runs are not.
//! With `--count` it counts instructions of the host instead, of the threaded
//! interpreter and of `auto`, which takes minutes and has no noise.
//!
//! QEMU is `qemu-system-x86_64`. Bochs is what `BOCHS` names, or `bochs`; with
//! BXSHARE where its BIOS lies.

mod bochs;
mod child;
mod count;
#[path = "../../../coe/benches/common/mod.rs"]
mod counter;
mod measure;
mod report;
mod rows;
#[path = "../../../../tests/common/workloads.rs"]
mod workloads;

use std::path::Path;
use std::process::ExitCode;

use measure::{Peer, Runs};
use rows::{ROWS, Row};

/// What the command line asks for.
struct Asked {
    rows: Vec<&'static Row>,
    peers: Vec<Peer>,
    rounds: usize,
    /// Of the work of each row.
    scale: f64,
    /// Instructions instead of times.
    count: bool,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [child, engine, kernel, line] = &args[..]
        && child == child::WORD
    {
        child::run(engine, Path::new(kernel), line);
        return ExitCode::SUCCESS;
    }
    let asked = match Asked::of(&args) {
        Ok(asked) => asked,
        Err(what) => {
            eprintln!("{what}");
            return ExitCode::from(2);
        }
    };
    let kernel = workloads::build(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let good = if asked.count {
        count::print(&asked.rows, &kernel, asked.scale)
    } else {
        let runs = measure_all(&asked, &kernel);
        report::print(&asked.rows, &asked.peers, &runs)
    };
    if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

impl Asked {
    fn of(args: &[String]) -> Result<Asked, String> {
        let mut asked = Asked {
            rows: Vec::new(),
            peers: measure::present(),
            rounds: 5,
            scale: 1.0,
            count: false,
        };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} wants a value"));
            match arg.as_str() {
                // Cargo's own word.
                "--bench" => {}
                "--count" => asked.count = true,
                "--rounds" => asked.rounds = number(value()?)? as usize,
                "--scale" => asked.scale = number(value()?)?,
                "--engines" => {
                    let peers: Result<_, String> = value()?.split(',').map(str::parse).collect();
                    asked.peers = peers?;
                }
                name => {
                    let row = ROWS.iter().find(|row| row.name == name);
                    asked.rows.push(row.ok_or(format!("no row {name}"))?);
                }
            }
        }
        if asked.rows.is_empty() {
            asked.rows = ROWS.iter().collect();
        }
        Ok(asked)
    }
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("no number: {text}"))
}

fn measure_all(asked: &Asked, kernel: &Path) -> Runs {
    let mut runs = Runs::new(asked.scale);
    for round in 0..asked.rounds {
        eprintln!("round {} of {}", round + 1, asked.rounds);
        for row in &asked.rows {
            for peer in asked.peers.iter().filter(|peer| **peer != Peer::Bochs) {
                runs.take(*peer, kernel, &[row]);
            }
        }
        // Its BIOS takes seconds: once for all rows.
        if asked.peers.contains(&Peer::Bochs) {
            runs.take(Peer::Bochs, kernel, &asked.rows);
        }
    }
    runs
}
