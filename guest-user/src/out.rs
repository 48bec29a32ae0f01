//! Printing: a line is put together in a small buffer and leaves in one
//! `write`, so that lines of several tasks mix as whole lines only.

use core::fmt::{self, Write as _};

use crate::sys::{self, Fd};

/// Longer lines leave in pieces.
const LINE: usize = 512;

struct Buffer {
    fd: Fd,
    len: usize,
    bytes: [u8; LINE],
}

impl Buffer {
    fn push(&mut self, byte: u8) {
        if self.len == LINE {
            self.flush();
        }
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }

    fn flush(&mut self) {
        // Nobody is left to be told that telling failed.
        let _ = sys::write_all(self.fd, self.bytes.get(..self.len).unwrap_or_default());
        self.len = 0;
    }
}

impl fmt::Write for Buffer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.push(byte));
        Ok(())
    }
}

/// Writes one line to a descriptor.
pub fn line(fd: Fd, text: fmt::Arguments<'_>) {
    let mut buffer = Buffer {
        fd,
        len: 0,
        bytes: [0; LINE],
    };
    // The buffer takes everything.
    let _ = buffer.write_fmt(text);
    buffer.push(b'\n');
    buffer.flush();
}

/// Prints a line to standard output in one write.
#[macro_export]
macro_rules! println {
    ($($arg:tt)*) => { $crate::out::line($crate::sys::STDOUT, ::core::format_args!($($arg)*)) };
}

/// Prints a line to standard error in one write.
#[macro_export]
macro_rules! eprintln {
    ($($arg:tt)*) => { $crate::out::line($crate::sys::STDERR, ::core::format_args!($($arg)*)) };
}

/// Ends the program with status 1 and a message if a call failed that must not.
pub fn must<T>(result: crate::errno::Result<T>, what: &str) -> T {
    match result {
        Ok(value) => value,
        Err(errno) => {
            crate::eprintln!("{what}: {errno}");
            crate::task::exit(1)
        }
    }
}
