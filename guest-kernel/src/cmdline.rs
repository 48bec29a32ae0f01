//! The kernel command line.

use abi::boot;

use crate::block::Announced;

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
    /// `virtio_mmio.device=`.
    pub disk: Option<Announced>,
    /// `dirty_expire=`, in nanoseconds.
    pub dirty_expire: u64,
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
        disk: None,
        dirty_expire: duration("", boot::DIRTY_EXPIRE[0]),
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
            boot::KEY_DISK => cmdline.disk = Some(announced(word, value)),
            boot::KEY_DIRTY_EXPIRE => cmdline.dirty_expire = duration(word, value),
            boot::KEY_CLONE_STOPPED => cmdline.clone_stopped = value == "on",
            #[cfg(feature = "mutants")]
            boot::KEY_MUTANT => cmdline.mutant = value,
            _ => panic!("the kernel command line has an unknown word: {word}"),
        }
    }
    cmdline
}

/// `SIZE@ADDRESS:LINE`, the numbers as C writes them.
fn announced(word: &str, value: &str) -> Announced {
    let parts = value.split_once('@').and_then(|(size, rest)| {
        let (address, line) = rest.split_once(':')?;
        parse_c(size)?;
        Some((parse_c(address)?, u8::try_from(parse_c(line)?).ok()?))
    });
    match parts {
        Some((address, line)) if line < 24 => Announced { address, line },
        _ => panic!("the kernel command line announces no device: {word}"),
    }
}

fn parse_c(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A number of seconds or milliseconds, in nanoseconds.
fn duration(word: &str, value: &str) -> u64 {
    let (digits, unit) = match (value.strip_suffix("ms"), value.strip_suffix('s')) {
        (Some(digits), _) => (digits, 1_000_000),
        (_, Some(digits)) => (digits, 1_000_000_000),
        _ => (value, 0),
    };
    number(word, digits).saturating_mul(unit)
}

fn number(word: &str, value: &str) -> u64 {
    match value.parse() {
        Ok(number) => number,
        Err(_) => panic!("the kernel command line has a bad number: {word}"),
    }
}
