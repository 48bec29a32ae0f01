//! The kernel command line.

use abi::boot;

/// What it says.
#[derive(Debug)]
pub struct Cmdline {
    /// `sched=`.
    pub sched: Option<&'static str>,
    /// `slice=`.
    pub slice: u64,
    /// `slice_cycles=`.
    pub slice_cycles: Option<u64>,
    /// `seed=`.
    pub seed: u64,
    /// `init=`.
    pub init: &'static str,
    /// `epoch=`.
    pub epoch: u64,
    /// `clone_stopped=`.
    pub clone_stopped: bool,
    /// `mutant=`, in a build with test switches.
    #[cfg(feature = "mutants")]
    pub mutant: &'static str,
    /// What follows `--`.
    pub init_args: &'static str,
}

/// Reads the command line.
///
/// # Panics
/// At a word that the kernel does not know, or a number that is none: a
/// kernel that runs otherwise than it was told is no use to anybody.
#[must_use]
pub fn parse(line: &'static str) -> Cmdline {
    let (words, init_args) = line.split_once(" -- ").unwrap_or((line, ""));
    let mut cmdline = Cmdline {
        sched: None,
        slice: boot::DEFAULT_SLICE,
        slice_cycles: None,
        seed: 0,
        init: "/init",
        epoch: 0,
        clone_stopped: false,
        #[cfg(feature = "mutants")]
        mutant: "",
        init_args,
    };
    for word in words.split_ascii_whitespace().filter(|word| *word != "--") {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            boot::KEY_SCHED => cmdline.sched = Some(value),
            boot::KEY_SLICE => cmdline.slice = number(word, value),
            boot::KEY_SLICE_CYCLES => cmdline.slice_cycles = Some(number(word, value)),
            boot::KEY_SEED => cmdline.seed = number(word, value),
            boot::KEY_INIT => cmdline.init = value,
            boot::KEY_EPOCH => cmdline.epoch = number(word, value),
            boot::KEY_CLONE_STOPPED => cmdline.clone_stopped = value == "on",
            #[cfg(feature = "mutants")]
            boot::KEY_MUTANT => cmdline.mutant = value,
            _ => panic!("the kernel command line has an unknown word: {word}"),
        }
    }
    cmdline
}

fn number(word: &str, value: &str) -> u64 {
    match value.parse() {
        Ok(number) => number,
        Err(_) => panic!("the kernel command line has a bad number: {word}"),
    }
}
