//! The command line.

mod args;
mod boot;
mod images;
mod live;
mod record;
mod replay;
mod run;
mod test;
mod trace;

use std::io::IsTerminal;
use std::process::ExitCode;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use clap::Parser;
use miette::Diagnostic;

use crate::Error;
use crate::exit::Code;
use args::{Arguments, Command};

/// Reads the command line, does what it says, and tells how it went.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    let result = match arguments.command {
        Command::Run(arguments) => run::main(&arguments),
        Command::Boot(arguments) => boot::main(&arguments),
        Command::Test(arguments) => test::main(&arguments),
        Command::Record(arguments) => record::main(&arguments),
        Command::Replay(arguments) => replay::main(&arguments),
        Command::Trace(arguments) => trace::main(&arguments),
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
    let renderer = if std::io::stderr().is_terminal() {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let message = error.to_string();
    let help = error.help().map(|help| help.to_string());
    let mut report = Group::with_title(Level::ERROR.primary_title(&message));
    if let Error::Scenario(error) = error {
        let place = AnnotationKind::Primary.span(error.span());
        report = report.element(
            Snippet::source(error.text())
                .path(error.file())
                .annotation(place.label(error.label())),
        );
    }
    if let Some(help) = &help {
        report = report.element(Level::HELP.message(help));
    }
    renderer.decor_style(DecorStyle::Unicode).render(&[report])
}
