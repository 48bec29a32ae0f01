//! `coe list`: what there is to run.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::schema::put;
use super::target::{self, GuestArguments};
use crate::Error;
use crate::embedded;
use crate::exit::Code;
use crate::scenario::Scenario;
use crate::suite;

/// Where scenarios are unless something is named.
const DEFAULT_FOLDER: &str = "scenarios";

/// How the lists are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// One JSON object, for scripts
    Json,
}

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Scenarios, and folders of them; `scenarios` if it is there
    pub(super) paths: Vec<PathBuf>,
    /// How to write the lists
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
    #[command(flatten)]
    pub(super) guests: GuestArguments,
}

/// A program that scenarios can name.
struct Program {
    name: String,
    /// How it is called, if its source says so.
    usage: String,
    /// What it does.
    about: String,
}

/// A scenario's file, and its title or what is wrong with it.
struct Listed {
    path: PathBuf,
    scenario: Result<Scenario, Error>,
}

pub(super) fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    let guests = target::guests(&arguments.guests)?;
    let programs: Vec<_> = guests.names().map(program).collect();
    let scenarios = scenarios(&arguments.paths)?;
    let broken = scenarios.iter().find_map(|it| it.scenario.as_ref().err());
    let code = broken.map_or(Code::Success, Error::exit_code);
    let text = match arguments.format {
        Format::Text => text(&programs, &scenarios),
        Format::Json => json(&programs, &scenarios),
    };
    put(text.as_bytes())?;
    Ok(code.into())
}

/// What the program's source says of it: "`usage`: what it does".
fn program(name: &str) -> Program {
    let about = embedded::ABOUT.iter().find(|(known, _)| *known == name);
    let about = about.map_or("", |(_, about)| about);
    let call = about
        .strip_prefix('`')
        .and_then(|rest| rest.split_once("`: "));
    let (usage, about) = call.unwrap_or((name, about));
    Program {
        name: name.to_owned(),
        usage: usage.to_owned(),
        about: about.to_owned(),
    }
}

fn scenarios(paths: &[PathBuf]) -> Result<Vec<Listed>, Error> {
    let default = [PathBuf::from(DEFAULT_FOLDER)];
    let paths = match paths {
        [] if Path::new(DEFAULT_FOLDER).is_dir() => &default,
        given => given,
    };
    let found = suite::find(paths)?.scenarios;
    let listed = found.into_iter().map(|path| Listed {
        scenario: Scenario::load(&path),
        path,
    });
    Ok(listed.collect())
}

fn text(programs: &[Program], scenarios: &[Listed]) -> String {
    let mut text = String::from("programs (coe run PROGRAM):\n");
    for program in programs {
        let Program { usage, about, .. } = program;
        text.push_str(&format!("  {usage}\n      {about}\n"));
    }
    if scenarios.is_empty() {
        return text;
    }
    text.push_str("\nscenarios (coe run SCENARIO):\n");
    let width = scenarios.iter().map(|it| it.path.as_os_str().len()).max();
    let width = width.unwrap_or(0);
    for Listed { path, scenario } in scenarios {
        let title = match scenario {
            Ok(scenario) => scenario.title.clone(),
            Err(error) => format!("(broken: {error})"),
        };
        text.push_str(&format!(
            "  {:width$}  {title}\n",
            path.display().to_string()
        ));
    }
    text
}

fn json(programs: &[Program], scenarios: &[Listed]) -> String {
    let programs = programs.iter().map(
        |program| json!({ "name": program.name, "usage": program.usage, "about": program.about }),
    );
    let scenarios = scenarios
        .iter()
        .map(|Listed { path, scenario }| match scenario {
            Ok(scenario) => json!({
                "path": path.to_string_lossy(),
                "title": scenario.title,
                "program": scenario.program.run.value,
            }),
            Err(error) => json!({ "path": path.to_string_lossy(), "error": error.to_string() }),
        });
    let lists = json!({
        "programs": programs.collect::<Vec<_>>(),
        "scenarios": scenarios.collect::<Vec<_>>(),
    });
    format!("{lists:#}\n")
}
