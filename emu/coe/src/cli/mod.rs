//! The command line.

mod boot;
mod colour;
mod completions;
mod diff;
mod engine;
mod examples;
mod filter;
mod html;
mod images;
mod interactive;
mod list;
mod live;
mod man;
mod new;
mod record;
mod replay;
mod run;
mod schema;
mod screen;
mod target;
mod test;
mod trace;

use std::process::ExitCode;
use std::sync::LazyLock;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use clap::{CommandFactory, Parser, Subcommand};
use miette::Diagnostic;

use crate::Error;
use crate::exit::Code;
use crate::trace::Version;

/// What `--version` says: also what decides whether traces and exact goldens fit.
static VERSIONS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "{}\ntrace format {}\ncost model {}",
        env!("CARGO_PKG_VERSION"),
        Version::CURRENT,
        machine::cost::VERSION
    )
});

/// A computer that always does the same thing: runs, records, replays and
/// compares how tasks share and copy their context.
#[derive(Debug, Parser)]
#[command(name = "coe", version, long_version = VERSIONS.as_str(), after_help = Code::help())]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the programs that scenarios can name, and scenarios with their titles
    #[command(after_help = examples::LIST)]
    List(list::Arguments),
    /// Write a scenario to begin with
    #[command(after_help = examples::NEW)]
    New(new::Arguments),
    /// Run a scenario or a program: console on stdout, a summary on stderr
    #[command(after_help = examples::RUN)]
    Run(run::Arguments),
    /// Boot a PVH kernel, as QEMU's -kernel does it
    #[command(after_help = examples::BOOT)]
    Boot(boot::Arguments),
    /// Hold scenarios against their expectations and goldens
    #[command(after_help = examples::TEST)]
    Test(test::Arguments),
    /// Run and write everything that happens into a trace
    #[command(after_help = examples::RECORD)]
    Record(record::Arguments),
    /// Run a trace again and compare everything with it
    #[command(after_help = examples::REPLAY)]
    Replay(replay::Arguments),
    /// Say what differs between two runs: order, events, cycles
    Diff(diff::Arguments),
    /// Show the events of a trace
    #[command(after_help = examples::TRACE)]
    Trace(trace::Arguments),
    /// Print the JSON Schema of what `coe trace --format jsonl` writes
    #[command(after_help = examples::SCHEMA)]
    Schema,
    /// Write kernel, initrd and the QEMU command line that starts them
    #[command(after_help = examples::IMAGES)]
    Images(images::Arguments),
    /// Print what a shell needs to complete the command line
    #[command(after_help = examples::COMPLETIONS)]
    Completions(completions::Arguments),
    /// Print the manual page, or write that of every command
    #[command(after_help = examples::MAN)]
    Man(man::Arguments),
}

/// Reads the command line, does what it says, and tells how it went.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match CommandLine::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let result = match arguments.command {
        Command::List(arguments) => list::main(&arguments),
        Command::New(arguments) => new::main(&arguments),
        Command::Run(arguments) => run::main(&arguments),
        Command::Boot(arguments) => boot::main(&arguments),
        Command::Test(arguments) => test::main(&arguments),
        Command::Record(arguments) => record::main(&arguments),
        Command::Replay(arguments) => replay::main(&arguments),
        Command::Diff(arguments) => diff::main(&arguments),
        Command::Trace(arguments) => trace::main(&arguments),
        Command::Schema => schema::main(),
        Command::Images(arguments) => images::main(arguments),
        Command::Completions(arguments) => completions::main(&arguments, CommandLine::command()),
        Command::Man(arguments) => man::main(&arguments, CommandLine::command()),
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

/// An error with its place and its advice, coloured as stderr is.
fn render(error: &Error) -> String {
    draw(error, colour::renderer())
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
        Error::Mistake(at) => Some((at.text(), at.file(), at.span(), at.label())),
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
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn every_command_has_an_example_in_its_help() {
        for command in CommandLine::command().get_subcommands() {
            let example = format!("  coe {}", command.get_name());
            let help = command.get_after_help().map(ToString::to_string);
            assert!(
                help.is_some_and(|help| help.contains(&example)),
                "no{example}"
            );
        }
    }
}
