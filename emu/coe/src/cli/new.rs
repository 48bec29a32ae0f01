//! `coe new`: a scenario to begin with.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::live;
use crate::Error;
use crate::exit::Code;

/// What it runs unless something is named.
const DEFAULT_PROGRAM: &str = "cow-fork";

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The scenario's name or path; `.toml` is added if it is missing
    pub(super) name: PathBuf,
    /// What it runs: an embedded program by name, or a path with a / in it
    #[arg(long, value_name = "PROGRAM", default_value = DEFAULT_PROGRAM)]
    pub(super) run: String,
}

pub(super) fn main(arguments: &Arguments) -> Result<ExitCode, Error> {
    let mut path = arguments.name.clone();
    if path.extension().is_none_or(|extension| extension != "toml") {
        path.as_mut_os_string().push(".toml");
    }
    let title = path.file_stem().unwrap_or_default().to_string_lossy();
    write(&path, &text(&title, &arguments.run))?;
    let path = path.display();
    live::say(&format!("coe: wrote {path}; start it with: coe run {path}"));
    Ok(Code::Success.into())
}

/// Writes a file that is not there yet.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|source| Error::write(folder, source))?;
    }
    let mut file = File::create_new(path).map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => Error::Usage {
            message: format!("{} is there already", path.display()),
            hint: "give another name, or remove it first".to_owned(),
        },
        _ => Error::write(path, source),
    })?;
    file.write_all(text.as_bytes())
        .map_err(|source| Error::write(path, source))
}

/// The scenario. What begins with `#` and a key shows the default or an example.
fn text(title: &str, run: &str) -> String {
    // TOML's quotes and escapes are JSON's.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    TEMPLATE
        .replace("TITLE", &quoted(title))
        .replace("PROGRAM", &quoted(run))
}

const TEMPLATE: &str = r##"# A scenario of coe. docs/scenario-format.md has every key; `coe list` shows
# the programs that a scenario can name.

title = TITLE

# An embedded program by its name, or a static Linux program of your own by its
# path from here: run = "./a.out".
program = { run = PROGRAM, args = [] }

# Give up after so many cycles; 1_000_000_000 are a second of the guest.
limits = { cycles = 1_000_000_000 }

# What `coe test` writes down with --bless and compares from then on, in a file
# beside this one: "outcome" (console and exit status), "order" (also what the
# tasks do, in its order), "exact" (also each cycle).
# golden = "order"

# Typed at the console, with the cycle at which it comes.
# input = [{ at = 2_000_000, text = "hello\n" }]

[machine]
memory = "64MiB"
# "v1", "v2" or "v3": the levels of x86-64; docs/cpu.md says what each announces.
# cpu = "v3"
# All that is drawn is drawn from the seed.
seed = 1

[schedule]
# "round-robin", "fifo", "fair", "random" (another order for each seed), or
# "script": then `script` says who runs at which event.
policy = "round-robin"
# A task's share, in its own instructions.
slice = 10_000
# script = [{ at = "sched_process_fork child=main/1", run = "main/1" }]

# What `coe test` checks. Events and their fields are those of `coe trace`.
[expect]
exit = 0
# stdout = ["the whole console, line by line"]
# counters = { forks = 1, cow_copies = ">= 1" }
# order = ["sched_process_fork child=main/1", "sched_process_exit task=main/1"]
"##;

#[cfg(test)]
mod tests {
    use crate::scenario::Scenario;

    #[test]
    fn the_scenario_is_a_scenario_and_so_is_what_its_comments_offer() {
        let text = super::text("a \"title\"", "./a.out");
        let plain = Scenario::parse("new.toml", &text).expect("a scenario");
        assert_eq!(plain.title, "a \"title\"");
        assert_eq!(plain.program.run.value, "./a.out");
        // Every commented key, with the script's policy to go with it.
        let keys = [
            "golden", "cpu", "input", "script", "stdout", "counters", "order",
        ];
        let mut whole = text.replace("policy = \"round-robin\"", "policy = \"script\"");
        for key in keys {
            let commented = format!("# {key} = ");
            assert!(whole.contains(&commented), "{key}");
            whole = whole.replace(&commented, &format!("{key} = "));
        }
        Scenario::parse("new.toml", &whole).expect("a scenario with everything");
    }
}
