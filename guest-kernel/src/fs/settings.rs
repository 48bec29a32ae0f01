//! What a terminal is set to.

use linux_raw_sys::general::{
    B38400, BRKINT, CREAD, CS8, ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, ECHONL, HUPCL, ICANON, ICRNL,
    IEXTEN, IGNBRK, IGNCR, IGNPAR, IMAXBEL, INLCR, INPCK, ISIG, ISTRIP, IUTF8, IXON, NOFLSH, OCRNL,
    ONLCR, OPOST, PARMRK, VEOF, VEOL, VEOL2, VERASE, VINTR, VKILL, VLNEXT, VMIN, VQUIT, VREPRINT,
    VSTART, VSTOP, VSUSP, VTIME, VWERASE, termios,
};

/// Input flags that work here, or speak of a line that is never disturbed.
const INPUT: u32 = IGNBRK
    | BRKINT
    | IGNPAR
    | PARMRK
    | INPCK
    | ISTRIP
    | INLCR
    | IGNCR
    | ICRNL
    | IXON
    | IMAXBEL
    | IUTF8;

/// Output flags that work here.
const OUTPUT: u32 = OPOST | ONLCR | OCRNL;

/// Local flags that work here.
const LOCAL: u32 =
    ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHONL | NOFLSH | ECHOCTL | ECHOKE | IEXTEN;

/// The control characters of a fresh terminal, by their index.
const CONTROL: [(u32, u8); 16] = [
    (VINTR, ctrl(b'C')),
    (VQUIT, ctrl(b'\\')),
    (VERASE, 0x7F),
    (VKILL, ctrl(b'U')),
    (VEOF, ctrl(b'D')),
    (VTIME, 0),
    (VMIN, 1),
    (VSTART, ctrl(b'Q')),
    (VSTOP, ctrl(b'S')),
    (VSUSP, ctrl(b'Z')),
    (VEOL, 0),
    (VREPRINT, ctrl(b'R')),
    (13, ctrl(b'O')),
    (VWERASE, ctrl(b'W')),
    (VLNEXT, ctrl(b'V')),
    (VEOL2, 0),
];

const fn ctrl(letter: u8) -> u8 {
    letter ^ 0x40
}

/// A fresh terminal: lines, echo, signals, newline for carriage return.
pub const fn fresh() -> termios {
    let mut control = [0; 19];
    let mut at = 0;
    while at < CONTROL.len() {
        control[CONTROL[at].0 as usize] = CONTROL[at].1;
        at += 1;
    }
    termios {
        c_iflag: ICRNL | IXON,
        c_oflag: OPOST | ONLCR,
        c_cflag: B38400 | CS8 | CREAD | HUPCL,
        c_lflag: ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
        c_line: 0,
        c_cc: control,
    }
}

/// The settings that a terminal takes of those asked for: flags without a
/// meaning here are not set, and reading them back says so.
pub fn accepted(asked: &termios) -> termios {
    termios {
        c_iflag: asked.c_iflag & INPUT,
        c_oflag: asked.c_oflag & OUTPUT,
        c_lflag: asked.c_lflag & LOCAL,
        c_line: 0,
        ..*asked
    }
}

/// Questions about the settings.
pub(super) trait Settings {
    /// Is this input flag set?
    fn input(&self, flag: u32) -> bool;
    /// Is this output flag set?
    fn output(&self, flag: u32) -> bool;
    /// Is this local flag set?
    fn local(&self, flag: u32) -> bool;
    /// Is this byte the control character with this index? NUL is none.
    fn is(&self, byte: u8, index: u32) -> bool;
}

impl Settings for termios {
    fn input(&self, flag: u32) -> bool {
        self.c_iflag & flag != 0
    }

    fn output(&self, flag: u32) -> bool {
        self.c_oflag & flag != 0
    }

    fn local(&self, flag: u32) -> bool {
        self.c_lflag & flag != 0
    }

    fn is(&self, byte: u8, index: u32) -> bool {
        byte != 0 && self.c_cc[index as usize] == byte
    }
}
