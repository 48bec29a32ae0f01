//! One of our machines in a process of its own.

use std::io::Write;
use std::path::Path;

use jit::Jit;
use machine::engine::{Engine, Reference};
use machine::{Choice, Config, Event, Host, Images, Machine, Payload, Stop};
use threaded::Threaded;

/// The argument that makes a process such a one.
pub(crate) const WORD: &str = "--child";

/// More than any row takes.
const CYCLES: u64 = 1 << 45;

/// Boots the kernel and runs it to its end. The console goes to stdout, and
/// after each of its lines one more that says, behind `#`, how many
/// instructions the row took.
pub(crate) fn run(engine: &str, kernel: &Path, line: &str) {
    let kernel = std::fs::read(kernel).expect("the kernel");
    let images = Images {
        kernel: &kernel,
        initrd: None,
        cmdline: line,
        disk: None,
    };
    let mut machine = Machine::boot(&Config::default(), &images).expect("the kernel boots");
    machine.set_engine(self::engine(engine));
    let mut console = Console::default();
    let stop = machine.run(CYCLES, &mut console);
    assert_eq!(stop, Stop::Exit(0), "the workloads end by themselves");
}

fn engine(name: &str) -> Box<dyn Engine> {
    match name {
        "reference" => Box::new(Reference::default()),
        "threaded" => Box::new(Threaded::default()),
        "jit" => Box::new(Jit::new().expect("a compiler for this host")),
        other => panic!("no engine {other}"),
    }
}

#[derive(Default)]
struct Console {
    /// When the row began.
    since: u64,
}

impl Host for Console {
    fn event(&mut self, event: Event) {
        let Payload::Console(byte) = event.payload else {
            return;
        };
        let mut out = std::io::stdout();
        let mut said = vec![byte];
        match byte {
            b' ' => self.since = event.at.retired,
            b'\n' => said.extend(format!("#{}\n", event.at.retired - self.since).bytes()),
            _ => {}
        }
        let _ = out.write_all(&said).and_then(|()| out.flush());
    }

    fn choose(&mut self, choice: &Choice) -> u32 {
        choice.default
    }
}
