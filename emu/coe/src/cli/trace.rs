//! `coe trace`: the events of a trace.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::filter::Filter;
use super::html;
use crate::Error;
use crate::events::{Line, Teller};
use crate::exit::Code;
use crate::report::perfetto::Perfetto;
use crate::report::statistics::{self, Statistics, Window};
use crate::report::{Lines, jsonl, text};
use crate::schedule::extract::Extractor;
use crate::symbols::GuestSymbols;
use crate::trace::{Item, Record, Trace};

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// One line each, for people
    Text,
    /// One JSON object each, for scripts
    #[value(alias = "json")]
    Jsonl,
    /// Perfetto's protobuf format, for ui.perfetto.dev
    Perfetto,
    /// One page to look at in a browser: a timeline of all tasks
    Html,
    /// The schedule that the run took, for `coe run --schedule`
    Schedule,
}

impl Format {
    /// True for a picture of the whole run, which no terminal can show.
    fn is_picture(self) -> bool {
        matches!(self, Format::Perfetto | Format::Html)
    }

    /// True for what is written from all events and nothing less.
    fn is_whole(self) -> bool {
        self.is_picture() || self == Format::Schedule
    }
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
    #[command(flatten)]
    pub(super) filter: Filter,
    /// Not the events but what became of the time: by task, wait and system call
    #[arg(long, conflicts_with_all = ["event", "syscall"])]
    pub(super) statistics: bool,
    /// Show this trace beside the other one, to compare them (with --format html)
    #[arg(long, value_name = "TRACE")]
    pub(super) overlay: Option<PathBuf>,
}

pub(super) fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    arguments.filter.check()?;
    check_format(arguments)?;
    let trace = Trace::open(&arguments.trace)?;
    let overlay = arguments.overlay.as_deref().map(Trace::open).transpose()?;
    let (mut out, place) = output(arguments)?;
    let written = if arguments.statistics {
        figures(&trace, arguments, &mut out)
    } else if arguments.format == Format::Perfetto {
        perfetto(&trace, &mut out)
    } else if arguments.format == Format::Html {
        html::write(&trace, overlay.as_ref(), &mut out)
    } else if arguments.format == Format::Schedule {
        schedule(&trace, &mut out)
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
fn check_format(arguments: &Arguments) -> Result<(), Error> {
    let value = arguments.format.to_possible_value();
    let name = value.as_ref().map_or("", |value| value.get_name());
    let refuse = |message: String, hint: &str| {
        let hint = hint.to_owned();
        Err(Error::Usage { message, hint })
    };
    if arguments.overlay.is_some() && arguments.format != Format::Html {
        return refuse(
            format!("--format {name} shows one trace only"),
            "add --format html to see two, or use `coe diff`",
        );
    }
    if !arguments.format.is_whole() {
        return Ok(());
    }
    if arguments.statistics {
        return refuse(
            format!("--statistics cannot be written as {name}"),
            "give --format text or --format json",
        );
    }
    if !arguments.filter.is_empty() {
        return refuse(
            format!("--format {name} cannot be filtered"),
            match arguments.format {
                Format::Schedule => "leave --event, --task and the like out",
                _ => "leave --event, --task and the like out: the picture can be searched",
            },
        );
    }
    if arguments.format.is_picture() && arguments.output.is_none() && io::stdout().is_terminal() {
        return refuse(
            format!("--format {name} is not for a terminal"),
            match arguments.format {
                Format::Html => "add -o FILE, and open that file in a browser",
                _ => "add -o FILE, and open that file in ui.perfetto.dev",
            },
        );
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

/// Shows what became of the time, up to the damage if there is any.
fn figures(
    trace: &Trace,
    arguments: &Arguments,
    out: &mut impl Write,
) -> io::Result<Option<Error>> {
    let mut statistics = Statistics::new(Window {
        from: arguments.filter.from,
        to: arguments.filter.to,
    });
    let mut teller = Teller::default();
    let mut symbols = GuestSymbols::new(&trace.kernel, trace.initrd.as_deref());
    let mut last = 0;
    let mut damage = None;
    for item in trace.items() {
        match item {
            Ok(Item::Record(Record::Event(event))) => {
                last = event.at.cycle;
                statistics.take(&event);
                let line = teller.tell(&event);
                symbols.take(&line);
                if let Some(place) = symbols.place(&line) {
                    statistics.fault_in(event.at, place);
                }
            }
            Ok(Item::Record(_)) => {}
            Ok(Item::End(finished)) => last = finished.cycle,
            Err(error) => damage = Some(error.into()),
        }
    }
    statistics.finish(last);
    if let Some(task) = &arguments.filter.task {
        statistics.keep_only(task);
    }
    match arguments.format {
        Format::Text => write!(out, "{}", statistics::text::write(&statistics))?,
        Format::Jsonl => writeln!(out, "{}", statistics::json::write(&statistics))?,
        // It cannot be asked for.
        Format::Perfetto | Format::Html | Format::Schedule => {}
    }
    Ok(damage)
}

/// Shows what there is; damage in the middle is told after what comes before it.
fn show(trace: &Trace, arguments: &Arguments, out: &mut impl Write) -> io::Result<Option<Error>> {
    if arguments.format == Format::Text {
        head(trace, out)?;
    }
    let mut symbols = GuestSymbols::new(&trace.kernel, trace.initrd.as_deref());
    let mut lines = Lines::default();
    for item in trace.items() {
        let ready = match item {
            Ok(Item::Record(Record::Event(event))) => lines.take(&event),
            Ok(Item::Record(Record::Digest { .. } | Record::Arrival(_))) => continue,
            Ok(Item::End(finished)) => {
                put(lines.finish(), &mut symbols, arguments, out)?;
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
                put(lines.finish(), &mut symbols, arguments, out)?;
                return Ok(Some(error.into()));
            }
        };
        put(ready, &mut symbols, arguments, out)?;
    }
    Ok(None)
}

/// The schedule of what there is.
fn schedule(trace: &Trace, out: &mut impl Write) -> io::Result<Option<Error>> {
    let mut extractor = Extractor::default();
    let mut damage = None;
    for item in trace.items() {
        match item {
            Ok(Item::Record(Record::Event(event))) => extractor.see(&event),
            Ok(_) => {}
            Err(error) => damage = Some(error.into()),
        }
    }
    let header = &trace.header;
    writeln!(out, "# {}", header.title)?;
    writeln!(out, "# kernel command line: {}", header.cmdline)?;
    write!(out, "{}", extractor.finish())?;
    Ok(damage)
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

fn put(
    lines: Vec<Line>,
    symbols: &mut GuestSymbols<'_>,
    arguments: &Arguments,
    out: &mut impl Write,
) -> io::Result<()> {
    for mut line in lines {
        symbols.take(&line);
        if !arguments.filter.wants(&line) {
            continue;
        }
        match arguments.format {
            Format::Text => {
                symbols.annotate(&mut line);
                writeln!(out, "{}", text::line(&line))?;
            }
            Format::Jsonl => writeln!(out, "{}", jsonl::line(&line))?,
            // It writes events, not lines.
            Format::Perfetto | Format::Html | Format::Schedule => {}
        }
    }
    Ok(())
}
