//! The command line.

mod boot;
mod diff;
mod filter;
mod html;
mod images;
mod interactive;
mod live;
mod record;
mod replay;
mod run;
mod schema;
mod target;
mod test;
mod trace;

use std::io::IsTerminal;
use std::process::ExitCode;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use clap::{Parser, Subcommand};
use miette::Diagnostic;

use crate::Error;
use crate::exit::Code;

/// A computer that always does the same thing: runs, records, replays and
/// compares how tasks share and copy their context.
#[derive(Debug, Parser)]
#[command(name = "coe", version, after_help = Code::help())]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a scenario or a program: console on stdout, a summary on stderr
    Run(run::Arguments),
    /// Boot a PVH kernel, as QEMU's -kernel does it
    Boot(boot::Arguments),
    /// Hold scenarios against their expectations and goldens
    Test(test::Arguments),
    /// Run and write everything that happens into a trace
    Record(record::Arguments),
    /// Run a trace again and compare everything with it
    Replay(replay::Arguments),
    /// Say what differs between two runs: order, events, cycles
    Diff(diff::Arguments),
    /// Show the events of a trace
    Trace(trace::Arguments),
    /// Print the JSON Schema of what `coe trace --format jsonl` writes
    Schema,
    /// Write kernel, initrd and the QEMU command line that starts them
    Images(images::Arguments),
}

/// Reads the command line, does what it says, and tells how it went.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match CommandLine::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let result = match arguments.command {
        Command::Run(arguments) => run::main(&arguments),
        Command::Boot(arguments) => boot::main(&arguments),
        Command::Test(arguments) => test::main(&arguments),
        Command::Record(arguments) => record::main(&arguments),
        Command::Replay(arguments) => replay::main(&arguments),
        Command::Diff(arguments) => diff::main(&arguments),
        Command::Trace(arguments) => trace::main(&arguments),
        Command::Schema => schema::main(),
        Command::Images(arguments) => images::main(arguments),
    };
    result.unwrap_or_else(|error| {
        live::say(render(&error).trim_end());
        error.exit_code().into()
    })
}

/// Help and version are asked for; everything else is a mistake.
fn usage(error: &clap::Error) -> ExitCode {
    let asked = !error.use_stderr();
    // Nothing is left to tell anybody if this fails.
    let _ = error.print();
    if asked {
        Code::Success.into()
    } else {
        Code::Own.into()
    }
}

/// An error with its place and its advice, coloured on a terminal only.
fn render(error: &Error) -> String {
    if std::io::stderr().is_terminal() {
        draw(error, Renderer::styled())
    } else {
        plain(error)
    }
}

/// The same without colours.
fn plain(error: &Error) -> String {
    draw(error, Renderer::plain())
}

fn draw(error: &Error, renderer: Renderer) -> String {
    let message = error.to_string();
    let help = error.help().map(|help| help.to_string());
    let mut report = Group::with_title(Level::ERROR.primary_title(&message));
    let place = match error {
        Error::Scenario(at) => Some((at.text(), at.file(), at.span(), at.label())),
        Error::Schedule(at) => Some((at.text(), at.file(), at.span(), at.label())),
        _ => None,
    };
    if let Some((text, file, span, label)) = place {
        let place = AnnotationKind::Primary.span(span);
        report = report.element(
            Snippet::source(text)
                .path(file)
                .annotation(place.label(label)),
        );
    }
    if let Some(help) = &help {
        report = report.element(Level::HELP.message(help));
    }
    renderer.decor_style(DecorStyle::Unicode).render(&[report])
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        super::CommandLine::command().debug_assert();
    }
}
