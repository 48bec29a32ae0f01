//! What runs, as the command line names it: a scenario or a program, on which
//! guests. How that becomes a setup.

use std::path::{Path, PathBuf};

use clap::Args;
use machine::CpuModel;

use crate::Error;
use crate::images::{Guests, Setup};
use crate::scenario::program;
use crate::scenario::{
    At, DEFAULT_ENV, Expect, Hardware, Policy, Program, Scenario, Schedule, Slice, Stdio,
    parse_memory,
};
use crate::schedule::Schedule as Choices;

/// Another kernel and other programs than those that coe brings along.
#[derive(Debug, Args)]
pub(super) struct GuestArguments {
    /// A kernel of your own instead of the embedded one
    #[arg(long, value_name = "ELF")]
    pub(super) kernel: Option<PathBuf>,
    /// A further word for the kernel's command line
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) kernel_option: Vec<String>,
    /// A folder of programs: they are found by name, before the embedded ones
    #[arg(long, value_name = "DIR")]
    pub(super) programs: Option<PathBuf>,
}

/// What runs: a scenario, or a program with its options.
#[derive(Debug, Args)]
pub(super) struct Target {
    #[command(flatten)]
    pub(super) guests: GuestArguments,
    /// Further files for the guest; without a place they go to /bin
    #[arg(long, value_name = "HOST[:GUEST]")]
    pub(super) with: Vec<String>,
    /// A variable of the program's environment, instead of the default ones
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) env: Vec<String>,
    /// What the program's stdout is
    #[arg(long, value_name = "tty|pipe")]
    pub(super) stdio: Option<String>,
    /// The machine's memory, as in 64MiB
    #[arg(long, value_name = "SIZE")]
    pub(super) memory: Option<String>,
    /// Which CPU it is, by what it announces
    #[arg(long, value_name = "v1|v2|v3")]
    pub(super) cpu: Option<String>,
    /// The seed of everything that is drawn
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Who picks the next task
    #[arg(long, value_name = "round-robin|fifo|fair|random")]
    pub(super) policy: Option<String>,
    /// Time slice in user instructions
    #[arg(long, value_name = "N")]
    pub(super) slice: Option<u64>,
    /// Give up after so many cycles
    #[arg(long, value_name = "N")]
    pub(super) cycles: Option<u64>,
    /// Follow the choices of this file; `coe trace --format schedule` writes one
    #[arg(long, value_name = "FILE")]
    pub(super) schedule: Option<PathBuf>,
    /// A scenario (*.toml), an embedded program by name, or a path with a / in it
    #[arg(value_name = "SCENARIO|PROGRAM")]
    pub(super) run: String,
    /// The program's arguments
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGS"
    )]
    pub(super) args: Vec<String>,
}

/// What this target starts.
pub(super) fn setup(target: &Target) -> Result<Setup, Error> {
    Ok(load(target)?.0)
}

/// What this target starts, and what its program's stdout is.
pub(super) fn load(target: &Target) -> Result<(Setup, Stdio), Error> {
    let (mut setup, stdio) = without_schedule(target)?;
    if let Some(path) = &target.schedule {
        setup.follow(Choices::from_bytes(path, program::read(path)?)?);
    }
    Ok((setup, stdio))
}

fn without_schedule(target: &Target) -> Result<(Setup, Stdio), Error> {
    let guests = guests(&target.guests)?;
    let path = Path::new(&target.run);
    if path
        .extension()
        .is_some_and(|extension| extension == "toml")
    {
        only_a_scenario(target)?;
        let scenario = Scenario::load(path)?;
        let base = path.parent().unwrap_or(Path::new(""));
        let setup = Setup::with_guests(&scenario, base, &guests)?;
        return Ok((setup, scenario.stdio));
    }
    let scenario = program(target)?;
    let setup = Setup::with_guests(&scenario, Path::new(""), &guests)?;
    Ok((setup, scenario.stdio))
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
        ("--cpu", target.cpu.is_some()),
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
    machine.cpu = cpu_model(target.cpu.as_deref())?;
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
            script: Choices::default(),
            file: None,
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

/// A CPU on the command line, or the default one.
pub(super) fn cpu_model(given: Option<&str>) -> Result<CpuModel, Error> {
    Ok(word("--cpu", given, &CpuModel::WORDS)?.unwrap_or_default())
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
