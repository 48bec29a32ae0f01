//! What comes with a signal: `siginfo_t`.

use super::number::Signal;

/// Values of `si_code`.
#[allow(missing_docs, reason = "the names are Linux's")]
#[allow(dead_code, reason = "the list is kept whole")]
pub mod code {
    use linux_raw_sys::general as linux;

    pub const SI_USER: i32 = linux::SI_USER as i32;
    pub const SI_KERNEL: i32 = linux::SI_KERNEL as i32;
    pub const SI_TKILL: i32 = linux::SI_TKILL;
    pub const SI_TIMER: i32 = linux::SI_TIMER;
    pub const CLD_EXITED: i32 = linux::CLD_EXITED as i32;
    pub const CLD_KILLED: i32 = linux::CLD_KILLED as i32;
    pub const CLD_DUMPED: i32 = linux::CLD_DUMPED as i32;
    pub const CLD_STOPPED: i32 = linux::CLD_STOPPED as i32;
    pub const CLD_CONTINUED: i32 = linux::CLD_CONTINUED as i32;
    pub const SEGV_MAPERR: i32 = linux::SEGV_MAPERR as i32;
    pub const SEGV_ACCERR: i32 = linux::SEGV_ACCERR as i32;
    pub const BUS_ADRALN: i32 = linux::BUS_ADRALN as i32;
    pub const BUS_ADRERR: i32 = linux::BUS_ADRERR as i32;
    pub const FPE_INTDIV: i32 = linux::FPE_INTDIV as i32;
    pub const FPE_FLTDIV: i32 = linux::FPE_FLTDIV as i32;
    pub const FPE_FLTOVF: i32 = linux::FPE_FLTOVF as i32;
    pub const FPE_FLTUND: i32 = linux::FPE_FLTUND as i32;
    pub const FPE_FLTRES: i32 = linux::FPE_FLTRES as i32;
    pub const FPE_FLTINV: i32 = linux::FPE_FLTINV as i32;
    pub const ILL_ILLOPN: i32 = linux::ILL_ILLOPN as i32;
    pub const TRAP_BRKPT: i32 = linux::TRAP_BRKPT as i32;
    pub const TRAP_TRACE: i32 = linux::TRAP_TRACE as i32;
    pub const SI_QUEUE: i32 = linux::SI_QUEUE;
    pub const CLD_TRAPPED: i32 = linux::CLD_TRAPPED as i32;
}

/// The part of a `siginfo_t` that depends on where the signal comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fields {
    /// Nothing.
    #[default]
    None,
    /// A task sent it.
    Sender {
        /// The sender's group.
        pid: i32,
        /// The sender's real user id.
        uid: u32,
    },
    /// A child changed its state.
    Child {
        /// The child.
        pid: i32,
        /// Its real user id.
        uid: u32,
        /// Its exit status, or the signal that ended or stopped it.
        status: i32,
    },
    /// A POSIX timer expired.
    Timer {
        /// Its number.
        id: u32,
        /// How often it expired besides.
        overrun: i32,
        /// `si_value`.
        value: u64,
    },
    /// An instruction caused it.
    Fault {
        /// The address at fault.
        address: u64,
    },
    /// Whatever `rt_sigqueueinfo` was given, as it is.
    Raw {
        /// `si_errno`.
        errno: i32,
        /// What follows the three numbers at the start.
        rest: [u32; RAW_WORDS],
    },
}

/// Words of a `siginfo_t` behind its first 16 bytes.
pub const RAW_WORDS: usize = (SigInfo::SIZE - 16) / 4;

/// A signal and what comes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigInfo {
    /// `si_signo`.
    pub signal: Signal,
    /// `si_code`.
    pub code: i32,
    /// The rest.
    pub fields: Fields,
}

impl SigInfo {
    /// Bytes of a `siginfo_t`.
    pub const SIZE: usize = linux_raw_sys::general::SI_MAX_SIZE as usize;

    /// A signal of the kernel's own.
    #[must_use]
    pub fn kernel(signal: Signal) -> Self {
        SigInfo {
            signal,
            code: code::SI_KERNEL,
            fields: Fields::None,
        }
    }

    /// A signal of which only the number counts: its sender is nobody.
    #[must_use]
    pub fn own(signal: Signal) -> Self {
        SigInfo::forgotten(signal)
    }

    /// A signal for an instruction that touched `address`.
    #[must_use]
    pub fn fault(signal: Signal, code: i32, address: u64) -> Self {
        let address = if crate::mutant!("fault-no-address") {
            0
        } else {
            address
        };
        SigInfo {
            signal,
            code,
            fields: Fields::Fault { address },
        }
    }

    /// A signal of which nothing but the number is known any more.
    pub(super) fn forgotten(signal: Signal) -> Self {
        SigInfo {
            signal,
            code: code::SI_USER,
            fields: Fields::Sender { pid: 0, uid: 0 },
        }
    }

    /// What a task has put together in its memory, for a signal.
    #[must_use]
    pub fn from_bytes(signal: Signal, bytes: &[u8; Self::SIZE]) -> Self {
        let word = |at: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&bytes[at..at + 4]);
            u32::from_le_bytes(word)
        };
        SigInfo {
            signal,
            code: word(8) as i32,
            fields: Fields::Raw {
                errno: word(4) as i32,
                rest: core::array::from_fn(|index| word(16 + index * 4)),
            },
        }
    }

    /// The `siginfo_t`, as it lies in user memory.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, &i32::from(self.signal.number()).to_le_bytes());
        put(8, &self.code.to_le_bytes());
        match self.fields {
            Fields::None => {}
            Fields::Sender { pid, uid } => {
                put(16, &pid.to_le_bytes());
                put(20, &uid.to_le_bytes());
            }
            Fields::Child { pid, uid, status } => {
                put(16, &pid.to_le_bytes());
                put(20, &uid.to_le_bytes());
                put(24, &status.to_le_bytes());
            }
            Fields::Timer { id, overrun, value } => {
                put(16, &id.to_le_bytes());
                put(20, &overrun.to_le_bytes());
                put(24, &value.to_le_bytes());
            }
            Fields::Fault { address } => put(16, &address.to_le_bytes()),
            Fields::Raw { errno, rest } => {
                put(4, &errno.to_le_bytes());
                for (index, word) in rest.iter().enumerate() {
                    put(16 + index * 4, &word.to_le_bytes());
                }
            }
        }
        bytes
    }
}
