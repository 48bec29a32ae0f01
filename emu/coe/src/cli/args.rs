//! What the command line may say.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::exit::Code;

/// A computer that always does the same thing: runs, records, replays and
/// compares how tasks share and copy their context.
#[derive(Debug, Parser)]
#[command(name = "coe", version, after_help = Code::help())]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a scenario or a program: console on stdout, a summary on stderr
    Run(RunArguments),
    /// Boot a PVH kernel, as QEMU's -kernel does it
    Boot(BootArguments),
    /// Hold scenarios against their expectations and goldens
    Test(TestArguments),
    /// Run and write everything that happens into a trace
    Record(RecordArguments),
    /// Run a trace again and compare everything with it
    Replay(ReplayArguments),
    /// Show the events of a trace
    Trace(TraceArguments),
    /// Write kernel, initrd and the QEMU command line that starts them
    Images(ImagesArguments),
}

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
    /// The seed of everything that is drawn
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// Who picks the next task
    #[arg(long, value_name = "round-robin|fifo|random")]
    pub(super) policy: Option<String>,
    /// Time slice in user instructions
    #[arg(long, value_name = "N")]
    pub(super) slice: Option<u64>,
    /// Give up after so many cycles
    #[arg(long, value_name = "N")]
    pub(super) cycles: Option<u64>,
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

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    /// No summary
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Write what is on the disk at the end to this file
    #[arg(long, value_name = "FILE")]
    pub(super) disk_out: Option<PathBuf>,
    #[command(flatten)]
    pub(super) target: Target,
}

#[derive(Debug, Args)]
pub(super) struct BootArguments {
    /// The kernel: an ELF with a PVH entry
    pub(super) kernel: PathBuf,
    /// The initrd
    #[arg(long, value_name = "FILE")]
    pub(super) initrd: Option<PathBuf>,
    /// The kernel's command line
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        allow_hyphen_values = true
    )]
    pub(super) append: String,
    /// The machine's memory, as in 64MiB
    #[arg(long, value_name = "SIZE", default_value = "64MiB")]
    pub(super) memory: String,
    /// Give up after so many cycles
    #[arg(long, value_name = "N")]
    pub(super) cycles: Option<u64>,
    /// No summary
    #[arg(short, long)]
    pub(super) quiet: bool,
}

#[derive(Debug, Args)]
pub(super) struct TestArguments {
    /// Scenarios, and folders of them
    #[arg(default_value = "scenarios")]
    pub(super) paths: Vec<PathBuf>,
    /// Write the goldens of scenarios that are otherwise as expected
    #[arg(long)]
    pub(super) bless: bool,
    /// How many to run at the same time; as many as there are CPUs unless given
    #[arg(short, long, value_name = "N")]
    pub(super) jobs: Option<usize>,
    /// Only those with this text in their path
    #[arg(long, value_name = "TEXT")]
    pub(super) filter: Option<String>,
    #[command(flatten)]
    pub(super) guests: GuestArguments,
}

#[derive(Debug, Args)]
pub(super) struct RecordArguments {
    /// The trace to write
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: PathBuf,
    /// No summary
    #[arg(short, long)]
    pub(super) quiet: bool,
    #[command(flatten)]
    pub(super) target: Target,
}

#[derive(Debug, Args)]
pub(super) struct ReplayArguments {
    /// The trace
    pub(super) trace: PathBuf,
    /// Stop at this cycle and say where the machine is
    #[arg(long, value_name = "CYCLE")]
    pub(super) to: Option<u64>,
    /// No summary
    #[arg(short, long)]
    pub(super) quiet: bool,
}

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// One line each, for people
    Text,
    /// One JSON object each, for scripts
    Jsonl,
}

#[derive(Debug, Args)]
pub(super) struct TraceArguments {
    /// The trace
    pub(super) trace: PathBuf,
    /// How to write the events
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
    /// Only events of this name; may be given more than once
    #[arg(long, value_name = "NAME")]
    pub(super) event: Vec<String>,
    /// Only events of this task and what descends from it
    #[arg(long, value_name = "NAME")]
    pub(super) task: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ImagesArguments {
    #[command(flatten)]
    pub(super) guests: GuestArguments,
    /// The folder to write into
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    #[command(flatten)]
    pub(super) target: OptionalTarget,
}

/// What the images run.
#[derive(Debug, Args)]
pub(super) struct OptionalTarget {
    /// A scenario or a program; without one the guest's `cow-fork`
    #[arg(value_name = "SCENARIO|PROGRAM")]
    pub(super) run: Option<String>,
    /// The program's arguments
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARGS"
    )]
    pub(super) args: Vec<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_definition_is_consistent() {
        super::Arguments::command().debug_assert();
    }
}
