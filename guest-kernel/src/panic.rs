//! The end of the kernel: a message on the console, an event, an exit code.

use core::fmt::{self, Write};
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::event::KernelPanic;
use abi::exit::Exit;
use abi::probe::TEXT_MAX;

use crate::arch::{self, irq, serial};
use crate::probe;

/// A text of limited length; what does not fit is left out.
struct Text {
    bytes: [u8; TEXT_MAX],
    len: usize,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let width = character.len_utf8();
            if self.len + width > self.bytes.len() {
                break;
            }
            character.encode_utf8(&mut self.bytes[self.len..]);
            self.len += width;
        }
        Ok(())
    }
}

impl Text {
    fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or("")
    }
}

static PANICKING: AtomicBool = AtomicBool::new(false);

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    irq::off();
    // A panic within the panic says nothing more.
    if !PANICKING.swap(true, Ordering::Relaxed) {
        let mut text = Text {
            bytes: [0; TEXT_MAX],
            len: 0,
        };
        if let Some(place) = info.location() {
            let _ = write!(text, "{}:{}: ", place.file(), place.line());
        }
        let _ = write!(text, "{}", info.message());
        for byte in "kernel panic: ".bytes().chain(text.as_str().bytes()) {
            serial::put(byte);
        }
        serial::put(b'\r');
        serial::put(b'\n');
        probe::emit(&KernelPanic {
            message: text.as_str().into(),
        });
    }
    arch::debug_exit(Exit::Panic.to_raw())
}
