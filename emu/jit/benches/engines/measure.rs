//! One run of a kernel in a process, and what CPU time each of its rows took.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;

use crate::bochs::Bochs;
use crate::child;
use crate::rows::Row;

/// Who runs the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    Reference,
    Threaded,
    /// With the compiler: what `auto` is on this host.
    Jit,
    /// QEMU as it is.
    Tcg,
    /// QEMU counting instructions.
    Icount,
    Bochs,
}

const PEERS: &[(Peer, &str)] = &[
    (Peer::Reference, "reference"),
    (Peer::Threaded, "threaded"),
    (Peer::Jit, "jit"),
    (Peer::Tcg, "tcg"),
    (Peer::Icount, "icount"),
    (Peer::Bochs, "bochs"),
];

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = PEERS.iter().find(|(peer, _)| peer == self);
        f.pad(name.map_or("", |(_, name)| name))
    }
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(text: &str) -> Result<Peer, String> {
        let found = PEERS.iter().find(|(_, name)| *name == text);
        found.map_or(Err(format!("no engine {text}")), |(peer, _)| Ok(*peer))
    }
}

/// Those that are here, but for the reference interpreter: it takes minutes.
pub(crate) fn present() -> Vec<Peer> {
    let qemu = works(Command::new("qemu-system-x86_64").arg("--version"));
    let bochs = Bochs::find().is_some();
    let here = |peer: &Peer| match peer {
        Peer::Reference => false,
        Peer::Threaded | Peer::Jit => true,
        Peer::Tcg | Peer::Icount => qemu,
        Peer::Bochs => bochs,
    };
    PEERS.iter().map(|(peer, _)| *peer).filter(here).collect()
}

fn works(command: &mut Command) -> bool {
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// What came of one row, once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// CPU time, in nanoseconds.
    pub(crate) time: u64,
    /// What the kernel said.
    pub(crate) result: String,
    /// Guest instructions, if they were counted.
    pub(crate) instructions: Option<u64>,
}

/// What runs behind the last row: a process that is over has no CPU time that
/// could be read.
const TAIL: &str = "alu=60";

/// All samples so far.
#[derive(Debug)]
pub(crate) struct Runs {
    /// By who made them, and row.
    pub(crate) samples: BTreeMap<(Peer, &'static str), Vec<Sample>>,
    /// Of the work of each row.
    scale: f64,
}

impl Runs {
    /// None yet.
    pub(crate) fn new(scale: f64) -> Runs {
        Runs {
            samples: BTreeMap::new(),
            scale,
        }
    }

    /// How much work of a row is done.
    pub(crate) fn amount(&self, row: &Row) -> u64 {
        amount(row, self.scale)
    }

    /// Runs these rows in one process.
    pub(crate) fn take(&mut self, peer: Peer, kernel: &Path, rows: &[&'static Row]) {
        let mut line = String::new();
        for row in rows {
            line += &format!("{}={} ", row.name, self.amount(row));
        }
        line += TAIL;
        let mut process = Process::start(peer, kernel, &line);
        for row in rows {
            let sample = process.row(row.name);
            let sample = sample.unwrap_or_else(|| panic!("{peer} ended before {}", row.name));
            self.samples
                .entry((peer, row.name))
                .or_default()
                .push(sample);
        }
        process.end();
    }

    /// The CPU time that a row takes, in nanoseconds.
    pub(crate) fn time(&self, peer: Peer, row: &Row) -> Option<f64> {
        let samples = self.samples.get(&(peer, row.name))?;
        let mut times: Vec<u64> = samples.iter().map(|sample| sample.time).collect();
        times.sort_unstable();
        let middle = times.len() / 2;
        let upper = *times.get(middle)? as f64;
        let even = times.len().is_multiple_of(2);
        Some(if even {
            (upper + times[middle - 1] as f64) / 2.0
        } else {
            upper
        })
    }
}

/// So much of the work of a row.
pub(crate) fn amount(row: &Row, scale: f64) -> u64 {
    ((row.amount as f64 * scale) as u64).max(1)
}

/// A kernel that runs, and its console.
struct Process {
    child: Child,
    console: Box<dyn Read>,
    /// Whether a line of its own follows each of the kernel's, as from ours.
    counts: bool,
    /// Lives as long: what it boots from.
    _bochs: Option<Bochs>,
}

impl Process {
    fn start(peer: Peer, kernel: &Path, line: &str) -> Process {
        let bochs = (peer == Peer::Bochs).then(|| {
            let bochs = Bochs::find().expect("Bochs is there");
            bochs.with_disk(kernel, line)
        });
        let mut command = Command::new("taskset");
        // The last CPU: whoever reads has the others.
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        command.args(["-c", &format!("{}", cpus - 1)]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        match (&bochs, peer) {
            (Some(bochs), _) => {
                // Its stdout is full of other things.
                bochs.add_to(&mut command);
                command.stdout(Stdio::null()).stderr(Stdio::piped());
            }
            (None, Peer::Tcg) => qemu(&mut command, kernel, line),
            (None, Peer::Icount) => {
                qemu(&mut command, kernel, line);
                command.args(["-icount", "shift=0"]);
            }
            (None, ours) => {
                command.arg(std::env::current_exe().expect("this program"));
                command
                    .args([child::WORD, &ours.to_string()])
                    .arg(kernel)
                    .arg(line);
                command.stderr(Stdio::inherit());
            }
        }
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let console: Box<dyn Read> = match (child.stdout.take(), child.stderr.take()) {
            (Some(out), _) => Box::new(out),
            (None, Some(err)) => Box::new(err),
            (None, None) => unreachable!("one of them is a pipe"),
        };
        Process {
            child,
            console,
            counts: !matches!(peer, Peer::Tcg | Peer::Icount | Peer::Bochs),
            _bochs: bochs,
        }
    }

    /// Waits for a row's line.
    fn row(&mut self, name: &str) -> Option<Sample> {
        let mut said = String::new();
        while !said.ends_with(&format!("{name} ")) {
            said.push(self.byte()?);
        }
        let since = self.cpu_time();
        let mut sample = Sample::default();
        loop {
            match self.byte()? {
                '\n' => break,
                byte => sample.result.push(byte),
            }
        }
        sample.time = self.cpu_time().saturating_sub(since);
        if self.counts {
            sample.instructions = self.count();
        }
        Some(sample)
    }

    /// The line behind, if it is one that counts; our own machines have them.
    fn count(&mut self) -> Option<u64> {
        let mut line = String::new();
        if self.byte()? != '#' {
            return None;
        }
        loop {
            match self.byte()? {
                '\n' => return line.parse().ok(),
                digit => line.push(digit),
            }
        }
    }

    fn byte(&mut self) -> Option<char> {
        let mut byte = [0];
        let len = self.console.read(&mut byte).ok()?;
        (len == 1).then_some(char::from(byte[0]))
    }

    /// What all of its threads have used, in nanoseconds.
    fn cpu_time(&self) -> u64 {
        let tasks = format!("/proc/{}/task", self.child.id());
        let tasks = fs::read_dir(tasks).into_iter().flatten().flatten();
        let used = tasks.filter_map(|task| {
            let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        used.sum()
    }

    fn end(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn qemu(command: &mut Command, kernel: &Path, line: &str) {
    command
        .arg("qemu-system-x86_64")
        .args([
            "-machine", "pc", "-cpu", "max", "-m", "64M", "-append", line,
        ])
        .args(["-display", "none", "-monitor", "none", "-no-reboot"])
        .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"])
        .args(["-serial", "stdio", "-kernel"])
        .arg(kernel);
}
