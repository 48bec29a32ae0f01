//! How the laboratory tells the kernel and `init` what to run.
//!
//! The kernel command line holds `key=value` words, these and no others; what
//! follows ` -- ` is passed to `init` as arguments, as Linux does it.

/// `sched=`: the scheduling policy, one of [`POLICIES`].
pub const KEY_SCHED: &str = "sched";

/// `slice=`: a time slice, in the task's own retired user instructions.
/// On a machine without a performance counter the timer stands in.
pub const KEY_SLICE: &str = "slice";

/// `slice_cycles=`: a time slice cut by the timer, in TSC cycles, instead.
pub const KEY_SLICE_CYCLES: &str = "slice_cycles";

/// `seed=`: decimal seed of `getrandom` and AT_RANDOM.
pub const KEY_SEED: &str = "seed";

/// `init=`: path of the first program; `/init` unless given.
pub const KEY_INIT: &str = "init";

/// `epoch=`: what CLOCK_REALTIME says at boot, in seconds since 1970.
pub const KEY_EPOCH: &str = "epoch";

/// `virtio_mmio.device=SIZE@ADDRESS:LINE`: the registers of a disk and its
/// line of the interrupt controller, as Linux has it.
pub const KEY_DISK: &str = "virtio_mmio.device";

/// `dirty_expire=`: how old a changed page of the disk gets before it is
/// written back, one of [`DIRTY_EXPIRE`]. The first is the default, and Linux's.
pub const KEY_DIRTY_EXPIRE: &str = "dirty_expire";

/// What `dirty_expire=` can be.
pub const DIRTY_EXPIRE: [&str; 3] = ["30s", "1s", "20ms"];

/// `mutant=`: the deliberate fault that a kernel built with its test switches
/// has; an ordinary kernel does not know this word.
pub const KEY_MUTANT: &str = "mutant";

/// `clone_stopped=`: `on` makes 0x2000000 the CLONE_STOPPED of old: the child
/// starts stopped. Otherwise the bit is CLONE_NEWCGROUP, as today.
pub const KEY_CLONE_STOPPED: &str = "clone_stopped";

/// The options that a scenario may give under `[kernel]`, with their values.
pub const OPTIONS: [(&str, &[&str]); 2] = [
    (KEY_CLONE_STOPPED, &["on", "off"]),
    (KEY_DIRTY_EXPIRE, &DIRTY_EXPIRE),
];

/// The policies that `sched=` knows. The first is the default.
pub const POLICIES: [&str; 3] = ["round-robin", "fifo", "fair"];

/// The default time slice, in user instructions.
pub const DEFAULT_SLICE: u64 = 100_000;

/// File in the initrd: the program's path and arguments, each ended by NUL.
pub const ARGV_FILE: &str = "/etc/coe/argv";

/// File in the initrd: the program's environment, each `KEY=value` ended by NUL.
pub const ENVIRON_FILE: &str = "/etc/coe/environ";

/// File in the initrd: `tty` or `pipe`, what the program's stdout and stderr are.
pub const STDIO_FILE: &str = "/etc/coe/stdio";

/// Folder of the embedded programs in the guest.
pub const BIN_DIR: &str = "/bin";
