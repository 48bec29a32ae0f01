//! `coe trace`: the events of a trace.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use abi::event::EventId;

use clap::{Args, ValueEnum};

use crate::Error;
use crate::events::Line;
use crate::exit::Code;
use crate::names;
use crate::report::perfetto::Perfetto;
use crate::report::{Lines, jsonl, text};
use crate::trace::{Item, Record, Trace};

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// One line each, for people
    Text,
    /// One JSON object each, for scripts
    Jsonl,
    /// Perfetto's protobuf format, for ui.perfetto.dev
    Perfetto,
}

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The trace
    pub(super) trace: PathBuf,
    /// How to write the events
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
    /// Write to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// Only events of this name; may be given more than once
    #[arg(long, value_name = "NAME")]
    pub(super) event: Vec<String>,
    /// Only events of this task and what descends from it
    #[arg(long, value_name = "NAME")]
    pub(super) task: Option<String>,
}

pub(super) fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    for name in &arguments.event {
        check_event(name)?;
    }
    check_perfetto(arguments)?;
    let trace = Trace::open(&arguments.trace)?;
    let (mut out, place) = output(arguments)?;
    let written = if arguments.format == Format::Perfetto {
        perfetto(&trace, &mut out)
    } else {
        show(&trace, arguments, &mut out)
    };
    match written.and_then(|damage| out.flush().map(|()| damage)) {
        Ok(None) => Ok(Code::Success.into()),
        Ok(Some(damage)) => Err(damage),
        // Whoever read our output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Code::Success.into()),
        Err(source) => Err(Error::write(place, source)),
    }
}

/// Where to write, and what that place is called.
fn output(arguments: &Arguments) -> Result<(Box<dyn Write>, &Path), Error> {
    let Some(path) = &arguments.output else {
        let out = BufWriter::new(io::stdout().lock());
        return Ok((Box::new(out), Path::new("stdout")));
    };
    let file = File::create(path).map_err(|source| Error::write(path, source))?;
    Ok((Box::new(BufWriter::new(file)), path))
}

/// A whole picture needs every event, and a terminal cannot show it.
fn check_perfetto(arguments: &Arguments) -> Result<(), Error> {
    if arguments.format != Format::Perfetto {
        return Ok(());
    }
    if !arguments.event.is_empty() || arguments.task.is_some() {
        return Err(Error::Usage {
            message: "--format perfetto cannot be filtered".to_owned(),
            hint: "leave --event and --task out: Perfetto has filters of its own".to_owned(),
        });
    }
    if arguments.output.is_none() && io::stdout().is_terminal() {
        return Err(Error::Usage {
            message: "--format perfetto is not for a terminal".to_owned(),
            hint: "add -o FILE, and open that file in ui.perfetto.dev".to_owned(),
        });
    }
    Ok(())
}

/// Writes what there is in Perfetto's format; damage is told after that.
fn perfetto(trace: &Trace, out: &mut impl Write) -> io::Result<Option<Error>> {
    let mut perfetto = Perfetto::new(out)?;
    let mut damage = None;
    for item in trace.items() {
        match item {
            Ok(Item::Record(Record::Event(event))) => perfetto.take(&event)?,
            Ok(_) => {}
            Err(error) => damage = Some(error.into()),
        }
    }
    perfetto.finish()?;
    Ok(damage)
}

/// Events that are not the kernel's own.
const OTHERS: [&str; 4] = ["choice", "console", "input", "unknown_event"];

fn check_event(name: &str) -> Result<(), Error> {
    let known = || EventId::ALL.iter().map(|id| id.name()).chain(OTHERS);
    if known().any(|known| known == name) {
        return Ok(());
    }
    let hint = match names::nearest(name, known()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are: {}", known().collect::<Vec<_>>().join(", ")),
    };
    Err(Error::Usage {
        message: format!("there is no event `{name}`"),
        hint,
    })
}

/// Shows what there is; damage in the middle is told after what comes before it.
fn show(trace: &Trace, arguments: &Arguments, out: &mut impl Write) -> io::Result<Option<Error>> {
    if arguments.format == Format::Text {
        head(trace, out)?;
    }
    let mut lines = Lines::default();
    for item in trace.items() {
        let ready = match item {
            Ok(Item::Record(Record::Event(event))) => lines.take(&event),
            Ok(Item::Record(Record::Digest { .. } | Record::Arrival(_))) => continue,
            Ok(Item::End(finished)) => {
                put(&lines.finish(), arguments, out)?;
                if arguments.format == Format::Text {
                    writeln!(
                        out,
                        "# {} at cycle {}, digest {}",
                        finished.ending, finished.cycle, finished.digest
                    )?;
                }
                continue;
            }
            Err(error) => {
                put(&lines.finish(), arguments, out)?;
                return Ok(Some(error.into()));
            }
        };
        put(&ready, arguments, out)?;
    }
    Ok(None)
}

fn head(trace: &Trace, out: &mut impl Write) -> io::Result<()> {
    let header = &trace.header;
    writeln!(out, "# {}", header.title)?;
    writeln!(
        out,
        "# kernel {}, command line: {}",
        header.kernel_hash, header.cmdline
    )?;
    writeln!(
        out,
        "# memory {} MiB, seed {}, cost model {}",
        header.memory >> 20,
        header.seed,
        header.cost_version
    )
}

fn put(lines: &[Line], arguments: &Arguments, out: &mut impl Write) -> io::Result<()> {
    for line in lines.iter().filter(|line| wanted(line, arguments)) {
        match arguments.format {
            Format::Text => writeln!(out, "{}", text::line(line))?,
            Format::Jsonl => writeln!(out, "{}", jsonl::line(line))?,
            // It writes events, not lines.
            Format::Perfetto => {}
        }
    }
    Ok(())
}

fn wanted(line: &Line, arguments: &Arguments) -> bool {
    let named = arguments.event.is_empty() || arguments.event.iter().any(|name| name == line.name);
    let of_task = arguments.task.as_deref().is_none_or(|task| {
        let rest = line.get("task").and_then(|name| name.strip_prefix(task));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    named && of_task
}
