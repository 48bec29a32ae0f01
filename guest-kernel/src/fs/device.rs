//! Character devices.

use linux_raw_sys::general::{POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM};

use super::transfer::{self, Sink, Source};
use super::tty::{self, Tty};
use crate::errno::{Errno, Result};

/// A character device.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Device {
    /// Takes everything, gives nothing.
    Null,
    /// Takes everything, gives zeros.
    Zero,
    /// Takes nothing, gives zeros.
    Full,
    /// The console's terminal.
    Console,
    /// The task's controlling terminal, which is the console's.
    Tty,
}

impl Device {
    /// The nodes under `/dev`.
    pub const NODES: [(&'static [u8], Device); 5] = [
        (b"null", Device::Null),
        (b"zero", Device::Zero),
        (b"full", Device::Full),
        (b"console", Device::Console),
        (b"tty", Device::Tty),
    ];

    /// The device with this number.
    pub fn by_number(number: u64) -> Option<Self> {
        let mut devices = Self::NODES.iter().map(|(_, device)| *device);
        devices.find(|device| device.number() == number)
    }

    /// The device number, as in `st_rdev`.
    pub fn number(self) -> u64 {
        let (major, minor) = match self {
            Device::Null => (1, 3),
            Device::Zero => (1, 5),
            Device::Full => (1, 7),
            Device::Tty => (5, 0),
            Device::Console => (5, 1),
        };
        major << 8 | minor
    }

    /// The terminal behind it, if it is one.
    pub fn tty(self) -> Option<&'static Tty> {
        matches!(self, Device::Console | Device::Tty).then(tty::console)
    }

    /// Somebody opens it.
    ///
    /// # Errors
    /// ENXIO: the caller's session has no terminal.
    pub fn opened(self) -> Result<()> {
        let gone = self == Device::Tty && tty::console().own_session().is_err();
        if gone && !crate::mutant!("tty-without-session") {
            return Err(Errno::ENXIO);
        }
        Ok(())
    }

    /// Reads.
    ///
    /// # Errors
    /// EFAULT, and what a terminal's read gives.
    pub fn read(self, to: &mut dyn Sink, nonblocking: bool) -> Result<usize> {
        match self {
            Device::Null => Ok(0),
            Device::Zero | Device::Full => {
                let wanted = to.room();
                let done = transfer::zeros(wanted, to);
                if done == 0 && wanted > 0 {
                    return Err(Errno::EFAULT);
                }
                Ok(done)
            }
            Device::Console | Device::Tty => tty::console().read(to, nonblocking),
        }
    }

    /// Writes.
    ///
    /// # Errors
    /// ENOSPC for the full device, and what a terminal's write gives.
    pub fn write(self, from: &mut dyn Source, nonblocking: bool) -> Result<usize> {
        match self {
            Device::Null | Device::Zero => Ok(from.left()),
            Device::Full => Err(Errno::ENOSPC),
            Device::Console | Device::Tty => tty::console().write(from, nonblocking),
        }
    }

    /// What it is ready for, as poll's bits.
    pub fn readiness(self) -> u32 {
        match self.tty() {
            Some(tty) => tty.readiness(),
            None => POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM,
        }
    }
}
