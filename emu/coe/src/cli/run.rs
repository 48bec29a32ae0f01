//! `coe run`, and how a target on the command line becomes a setup.

use std::path::Path;
use std::process::ExitCode;

use machine::Machine;
use machine::devices::disk::Contents;

use super::args::{GuestArguments, RunArguments, Target};
use super::live::{self, Console, Progress, Summary};
use crate::Error;
use crate::images::{Guests, Setup};
use crate::run::{self, Watcher};
use crate::scenario::program;
use crate::scenario::{
    At, DEFAULT_ENV, Expect, Hardware, Policy, Program, Scenario, Schedule, Slice, Stdio,
    parse_memory,
};

pub(super) fn main(arguments: &RunArguments) -> Result<ExitCode, Error> {
    let setup = setup(&arguments.target)?;
    let mut console = Console::default();
    let mut progress = Progress::beside_console(&setup);
    let mut summary = Summary::default();
    let mut disk = DiskOut::default();
    let finished = run::run(
        &setup,
        &mut [&mut console, &mut progress, &mut summary, &mut disk],
    )?;
    progress.done();
    if let Some(path) = &arguments.disk_out {
        disk.write(path)?;
    }
    live::tell(&finished, &summary, arguments.quiet);
    Ok(ExitCode::from(finished.ending.code()))
}

/// Keeps what is on the disk when the machine stands still; the last time is
/// its end.
#[derive(Default)]
struct DiskOut(Option<Contents>);

impl Watcher for DiskOut {
    fn pause(&mut self, machine: &Machine) {
        self.0 = machine.disk().cloned();
    }
}

impl DiskOut {
    fn write(&self, path: &Path) -> Result<(), Error> {
        let Some(contents) = &self.0 else {
            return Err(Error::Usage {
                message: "--disk-out cannot be given: the machine has no disk".to_owned(),
                hint: "add a section [disk] to the scenario".to_owned(),
            });
        };
        std::fs::write(path, contents.to_bytes()).map_err(|source| Error::write(path, source))
    }
}

/// What this target starts.
pub(super) fn setup(target: &Target) -> Result<Setup, Error> {
    let guests = guests(&target.guests)?;
    let path = Path::new(&target.run);
    if path
        .extension()
        .is_some_and(|extension| extension == "toml")
    {
        only_a_scenario(target)?;
        let scenario = Scenario::load(path)?;
        let base = path.parent().unwrap_or(Path::new(""));
        return Setup::with_guests(&scenario, base, &guests);
    }
    Setup::with_guests(&program(target)?, Path::new(""), &guests)
}

/// The kernel and the programs: the embedded ones, or what was given instead.
pub(super) fn guests(arguments: &GuestArguments) -> Result<Guests, Error> {
    let mut guests = Guests::default();
    guests.options.clone_from(&arguments.kernel_option);
    if let Some(kernel) = &arguments.kernel {
        guests.kernel = program::read(kernel)?.into();
    }
    if let Some(folder) = &arguments.programs {
        guests.add_folder(folder)?;
    }
    match guests.options.iter().find(|word| !is_word(word)) {
        None => Ok(guests),
        Some(word) => Err(bad_word(
            "--kernel-option",
            word,
            "KEY=VALUE without spaces",
        )),
    }
}

fn is_word(option: &str) -> bool {
    !option.is_empty() && option.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A scenario says everything itself: what is changed on the command line could
/// not be said again.
fn only_a_scenario(target: &Target) -> Result<(), Error> {
    let given = [
        ("--with", !target.with.is_empty()),
        ("--env", !target.env.is_empty()),
        ("--stdio", target.stdio.is_some()),
        ("--memory", target.memory.is_some()),
        ("--seed", target.seed.is_some()),
        ("--policy", target.policy.is_some()),
        ("--slice", target.slice.is_some()),
        ("--cycles", target.cycles.is_some()),
        ("arguments", !target.args.is_empty()),
    ];
    match given.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((name, _)) => Err(Error::Usage {
            message: format!("{name} cannot be given beside a scenario"),
            hint: format!("write it into {}", target.run),
        }),
    }
}

/// The scenario that a program on the command line stands for.
fn program(target: &Target) -> Result<Scenario, Error> {
    let at = |value: &String| At {
        value: value.clone(),
        span: 0..0,
    };
    let mut machine = Hardware::default();
    if let Some(memory) = &target.memory {
        machine.memory = memory_size(memory)?;
    }
    if let Some(seed) = target.seed {
        machine.seed = seed;
    }
    let slice = match target.slice {
        Some(0) => return Err(bad_word("--slice", "0", "a number from 1 on")),
        Some(count) => Slice::Instructions(count),
        None => Slice::default(),
    };
    Ok(Scenario {
        title: target.run.clone(),
        program: Program {
            run: at(&target.run),
            args: target.args.clone(),
            env: environment(&target.env)?,
            with: target.with.iter().map(at).collect(),
        },
        machine,
        limit: target.cycles.unwrap_or(u64::MAX),
        stdio: word("--stdio", target.stdio.as_deref(), &Stdio::WORDS)?.unwrap_or_default(),
        input: Vec::new(),
        disk: None,
        kernel_options: Vec::new(),
        schedule: Schedule {
            policy: word("--policy", target.policy.as_deref(), &Policy::WORDS)?.unwrap_or_default(),
            slice,
            script: Vec::new(),
        },
        expect: Expect::default(),
        golden: None,
        file: String::new(),
        text: String::new(),
    })
}

fn environment(given: &[String]) -> Result<Vec<(String, String)>, Error> {
    if given.is_empty() {
        return Ok(DEFAULT_ENV
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .to_vec());
    }
    let pair = |text: &String| match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(bad_word("--env", text, "KEY=VALUE")),
    };
    given.iter().map(pair).collect()
}

/// A size of memory on the command line.
pub(super) fn memory_size(text: &str) -> Result<u64, Error> {
    // The machine would not start with it: bad input, as in a scenario, and
    // not a wrong way to call coe.
    parse_memory(text).map_err(|why| Error::Memory {
        given: text.to_owned(),
        why,
    })
}

fn word<T: Copy>(
    option: &str,
    given: Option<&str>,
    words: &[(&str, T)],
) -> Result<Option<T>, Error> {
    let Some(given) = given else { return Ok(None) };
    match words.iter().find(|(word, _)| *word == given) {
        Some((_, value)) => Ok(Some(*value)),
        None => {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            Err(bad_word(option, given, &known.join(" or ")))
        }
    }
}

fn bad_word(option: &str, given: &str, expected: &str) -> Error {
    Error::Usage {
        message: format!("{option} cannot be {given:?}"),
        hint: format!("give {expected}"),
    }
}
