//! Signal numbers and sets of them.

use linux_raw_sys::general as linux;

use crate::mm::user::Plain;

/// A signal's number, 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signal(u8);

/// What happens to a task for which a signal is left at its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultAction {
    /// The group ends.
    Terminate,
    /// The group ends; Linux may write a core file, and the status says so.
    Core,
    /// Nothing.
    Ignore,
    /// The group stops.
    Stop,
    /// A stopped group goes on; that already happened when it was sent.
    Continue,
}

macro_rules! signals {
    ($($name:ident)*) => {
        #[allow(missing_docs, reason = "the names are Linux's")]
        #[allow(dead_code, reason = "the list is kept whole")]
        impl Signal {
            $(pub const $name: Signal = Signal(linux::$name as u8);)*
        }
    };
}

signals! {
    SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 SIGSEGV SIGUSR2
    SIGPIPE SIGALRM SIGTERM SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN SIGTTOU SIGURG SIGXCPU
    SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO SIGPWR SIGSYS
}

impl Signal {
    /// The largest number.
    pub const MAX: usize = 64;

    /// The signal with this number, if there is one.
    #[must_use]
    pub fn new(number: u64) -> Option<Self> {
        (1..=Self::MAX as u64)
            .contains(&number)
            .then_some(Signal(number as u8))
    }

    /// The number.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    /// Its place in a table of 64.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0) - 1
    }

    /// True for the ones that queue: each sent one arrives.
    #[must_use]
    pub fn is_realtime(self) -> bool {
        u32::from(self.0) >= linux::SIGRTMIN
    }

    /// What happens if nobody said otherwise.
    #[must_use]
    pub fn default_action(self) -> DefaultAction {
        match self {
            Signal::SIGURG if crate::mutant!("sigurg-kills") => DefaultAction::Terminate,
            Signal::SIGCHLD | Signal::SIGURG | Signal::SIGWINCH => DefaultAction::Ignore,
            Signal::SIGCONT => DefaultAction::Continue,
            stop if SigSet::STOP.has(stop) => DefaultAction::Stop,
            Signal::SIGQUIT
            | Signal::SIGILL
            | Signal::SIGTRAP
            | Signal::SIGABRT
            | Signal::SIGBUS
            | Signal::SIGFPE
            | Signal::SIGSEGV
            | Signal::SIGXCPU
            | Signal::SIGXFSZ
            | Signal::SIGSYS => DefaultAction::Core,
            _ => DefaultAction::Terminate,
        }
    }
}

/// A set of signals, in the kernel's layout: bit n is signal n + 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub struct SigSet(pub u64);

// SAFETY: numbers side by side, without padding.
unsafe impl Plain for SigSet {}

impl SigSet {
    /// The two that can be neither blocked, caught nor ignored.
    pub const UNSTOPPABLE: SigSet = SigSet::of(&[Signal::SIGKILL, Signal::SIGSTOP]);
    /// Those that stop by default.
    pub const STOP: SigSet = SigSet::of(&[
        Signal::SIGSTOP,
        Signal::SIGTSTP,
        Signal::SIGTTIN,
        Signal::SIGTTOU,
    ]);
    /// Those that an instruction causes; they are delivered first.
    pub const SYNCHRONOUS: SigSet = SigSet::of(&[
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGILL,
        Signal::SIGTRAP,
        Signal::SIGFPE,
        Signal::SIGSYS,
    ]);

    /// A set of these.
    #[must_use]
    pub const fn of(signals: &[Signal]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < signals.len() {
            bits |= 1 << (signals[at].0 - 1);
            at += 1;
        }
        SigSet(bits)
    }

    /// True if the signal is in it.
    #[must_use]
    pub fn has(self, signal: Signal) -> bool {
        self.0 & SigSet::of(&[signal]).0 != 0
    }

    /// With this signal.
    #[must_use]
    pub fn with(self, signal: Signal) -> Self {
        SigSet(self.0 | SigSet::of(&[signal]).0)
    }

    /// As a number whose lowest bit is signal 1.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// The signals of both.
    #[must_use]
    pub fn union(self, other: SigSet) -> Self {
        SigSet(self.0 | other.0)
    }

    /// Those that the other set has too.
    #[must_use]
    pub fn intersection(self, other: SigSet) -> Self {
        SigSet(self.0 & other.0)
    }

    /// Those that the other set has not.
    #[must_use]
    pub fn without(self, other: SigSet) -> Self {
        SigSet(self.0 & !other.0)
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The one to deliver first: those of an instruction, then the lowest.
    #[must_use]
    pub fn first(self) -> Option<Signal> {
        let caused = self.intersection(SigSet::SYNCHRONOUS);
        let from = if caused.is_empty() { self } else { caused };
        Signal::new(u64::from(from.0.trailing_zeros()) + 1)
    }
}
