//! What the kernel writes to the debug-exit port when the run is over.
//!
//! The low byte is a number, the byte above it says what the number is. QEMU's
//! `isa-debug-exit` turns a written `v` into the exit status `(v << 1) | 1`,
//! cut to eight bits; the kernel's console says the same in words there.

/// The debug-exit port, as QEMU's `isa-debug-exit,iobase=0xf4,iosize=4`.
pub const PORT: u16 = 0xF4;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// The scenario's program exited with this status.
    Status(u8),
    /// The scenario's program was killed by this signal.
    Signal(u8),
    /// The kernel panicked.
    Panic,
    /// A value that no kernel of ours writes, as it came.
    Other(u32),
}

impl Exit {
    /// The value for the port.
    #[must_use]
    pub fn to_raw(self) -> u32 {
        match self {
            Exit::Status(status) => u32::from(status),
            Exit::Signal(signal) => 0x100 | u32::from(signal),
            Exit::Panic => 0x200,
            Exit::Other(raw) => raw,
        }
    }

    /// What a value read at the port means.
    #[must_use]
    pub fn from_raw(raw: u32) -> Self {
        match (raw >> 8, raw as u8) {
            (0, status) => Exit::Status(status),
            (1, signal) => Exit::Signal(signal),
            (2, 0) => Exit::Panic,
            _ => Exit::Other(raw),
        }
    }
}
