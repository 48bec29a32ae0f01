//! The line discipline: what a typed byte does.

use alloc::collections::VecDeque;

use linux_raw_sys::general::{
    ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, ECHONL, ICANON, ICRNL, IEXTEN, IGNCR, INLCR, ISIG, ISTRIP,
    IUTF8, IXON, NOFLSH, OCRNL, ONLCR, OPOST, SIGINT, SIGQUIT, SIGTSTP, VEOF, VEOL, VEOL2, VERASE,
    VINTR, VKILL, VLNEXT, VQUIT, VREPRINT, VSTART, VSTOP, VSUSP, VWERASE, termios,
};

use super::settings::Settings;

/// The most that waits to be read.
const INPUT_MAX: usize = 4096;

const BELL: u8 = 7;
const BACKSPACE: u8 = 8;

/// A byte that can be read, or the end of a line.
#[derive(Clone, Copy)]
pub(super) struct Cell {
    /// The byte; none for the end-of-file character, which is never read.
    pub(super) byte: Option<u8>,
    /// A read stops behind it.
    pub(super) ends: bool,
}

/// What a terminal knows, apart from who waits for it.
pub(super) struct Discipline {
    pub(super) settings: termios,
    /// Bytes that a read may have.
    pub(super) ready: VecDeque<Cell>,
    /// The line that is being typed.
    pub(super) line: VecDeque<u8>,
    /// Ctrl-S was typed: no output until Ctrl-Q.
    pub(super) stopped: bool,
    /// The next byte is taken as it is.
    literal: bool,
    /// Where on the screen's line the cursor is.
    column: usize,
    /// Where it was when the line that is being typed began.
    line_column: usize,
}

/// What is to be done after a byte, without the lock.
#[derive(Default)]
pub(super) struct Effect {
    /// The signal for the foreground group.
    pub(super) signal: Option<u32>,
    /// Readers have something to look at.
    pub(super) readable: bool,
    /// Writers may go on.
    pub(super) writable: bool,
}

impl Discipline {
    pub(super) const fn new(settings: termios) -> Self {
        Discipline {
            settings,
            ready: VecDeque::new(),
            line: VecDeque::new(),
            stopped: false,
            literal: false,
            column: 0,
            line_column: 0,
        }
    }

    /// Takes a byte off the line; `out` takes what is echoed.
    pub(super) fn receive(&mut self, byte: u8, out: &mut dyn FnMut(u8)) -> Effect {
        let mut effect = Effect::default();
        let Some(byte) = self.translate(byte) else {
            return effect;
        };
        if core::mem::take(&mut self.literal) {
            self.accept(byte, &mut effect, out);
        } else if !self.flow(byte, &mut effect) && !self.signal(byte, &mut effect, out) {
            if self.settings.local(ICANON) {
                self.edit(byte, &mut effect, out);
            } else {
                self.accept(byte, &mut effect, out);
            }
        }
        effect
    }

    fn translate(&self, byte: u8) -> Option<u8> {
        let byte = if self.settings.input(ISTRIP) {
            byte & 0x7F
        } else {
            byte
        };
        match byte {
            b'\r' if self.settings.input(IGNCR) => None,
            b'\r' if self.settings.input(ICRNL) => Some(b'\n'),
            b'\n' if self.settings.input(INLCR) => Some(b'\r'),
            _ => Some(byte),
        }
    }

    /// Ctrl-S and Ctrl-Q.
    fn flow(&mut self, byte: u8, effect: &mut Effect) -> bool {
        if !self.settings.input(IXON) {
            return false;
        }
        let start = self.settings.is(byte, VSTART);
        if !start && !self.settings.is(byte, VSTOP) {
            return false;
        }
        self.stopped = !start;
        effect.writable = start;
        true
    }

    /// Ctrl-C, Ctrl-\ and Ctrl-Z.
    fn signal(&mut self, byte: u8, effect: &mut Effect, out: &mut dyn FnMut(u8)) -> bool {
        if !self.settings.local(ISIG) {
            return false;
        }
        let signals = [(VINTR, SIGINT), (VQUIT, SIGQUIT), (VSUSP, SIGTSTP)];
        let mut signals = signals.into_iter();
        let Some((_, signal)) = signals.find(|(index, _)| self.settings.is(byte, *index)) else {
            return false;
        };
        if !self.settings.local(NOFLSH) {
            self.ready.clear();
            self.line.clear();
            effect.writable = core::mem::take(&mut self.stopped);
        }
        self.echo(byte, out);
        self.line_column = self.column;
        effect.signal = Some(signal);
        true
    }

    /// A byte of a line: the characters that edit it, and those that end it.
    fn edit(&mut self, byte: u8, effect: &mut Effect, out: &mut dyn FnMut(u8)) {
        let settings = self.settings;
        let extended = settings.local(IEXTEN);
        if settings.is(byte, VERASE) {
            self.erase(out);
        } else if settings.is(byte, VKILL) {
            self.kill(byte, out);
        } else if extended && settings.is(byte, VWERASE) {
            self.erase_word(out);
        } else if extended && settings.is(byte, VLNEXT) {
            self.literal = true;
            if settings.local(ECHO) && settings.local(ECHOCTL) {
                [b'^', BACKSPACE].into_iter().for_each(&mut *out);
            }
        } else if extended && settings.is(byte, VREPRINT) {
            self.reprint(byte, out);
        } else if byte == b'\n' {
            if settings.local(ECHO) || settings.local(ECHONL) {
                self.put(b'\n', out);
            }
            self.finish(Some(byte), effect);
        } else if settings.is(byte, VEOF) {
            self.finish(None, effect);
        } else if settings.is(byte, VEOL) || extended && settings.is(byte, VEOL2) {
            self.echo(byte, out);
            self.finish(Some(byte), effect);
        } else {
            self.accept(byte, effect, out);
        }
    }

    /// A byte that is read as it is.
    fn accept(&mut self, byte: u8, effect: &mut Effect, out: &mut dyn FnMut(u8)) {
        let canonical = self.settings.local(ICANON);
        // One place is kept for the end of the line.
        if self.ready.len() + self.line.len() >= INPUT_MAX - 1 {
            out(BELL);
            return;
        }
        if canonical {
            self.line.push_back(byte);
        } else {
            let byte = Some(byte);
            self.ready.push_back(Cell { byte, ends: false });
            effect.readable = true;
        }
        self.echo(byte, out);
    }

    /// Ends the line: with a byte that is read, or with end-of-file.
    fn finish(&mut self, byte: Option<u8>, effect: &mut Effect) {
        if self.ready.len() + self.line.len() >= INPUT_MAX {
            return;
        }
        let line = core::mem::take(&mut self.line);
        let cell = |byte| Cell {
            byte: Some(byte),
            ends: false,
        };
        self.ready.extend(line.into_iter().map(cell));
        self.ready.push_back(Cell { byte, ends: true });
        self.line_column = self.column;
        effect.readable = true;
    }

    fn erase(&mut self, out: &mut dyn FnMut(u8)) {
        let characters = self.settings.input(IUTF8);
        let Some(mut byte) = self.line.pop_back() else {
            return;
        };
        while characters && is_continuation(byte) {
            let Some(before) = self.line.pop_back() else {
                break;
            };
            byte = before;
        }
        if self.settings.local(ECHO) && self.settings.local(ECHOE) {
            self.wipe(byte, out);
        } else {
            self.echo(self.settings.c_cc[VERASE as usize], out);
        }
    }

    fn erase_word(&mut self, out: &mut dyn FnMut(u8)) {
        let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
        while self.line.back().is_some_and(|byte| !word(byte)) {
            self.erase(out);
        }
        while self.line.back().is_some_and(word) {
            self.erase(out);
        }
    }

    fn kill(&mut self, byte: u8, out: &mut dyn FnMut(u8)) {
        if !self.settings.local(ECHO) {
            self.line.clear();
        } else if [ECHOE, ECHOK, ECHOKE]
            .iter()
            .all(|flag| self.settings.local(*flag))
        {
            while !self.line.is_empty() {
                self.erase(out);
            }
        } else {
            self.line.clear();
            self.echo(byte, out);
            if self.settings.local(ECHOK) {
                self.put(b'\n', out);
            }
        }
    }

    fn reprint(&mut self, byte: u8, out: &mut dyn FnMut(u8)) {
        self.echo(byte, out);
        self.put(b'\n', out);
        self.line_column = self.column;
        for at in 0..self.line.len() {
            self.echo(self.line[at], out);
        }
    }

    fn echo(&mut self, byte: u8, out: &mut dyn FnMut(u8)) {
        if !self.settings.local(ECHO) {
            return;
        }
        if is_control(byte) && self.settings.local(ECHOCTL) {
            self.put(b'^', out);
            self.put(byte ^ 0x40, out);
        } else {
            self.put(byte, out);
        }
    }

    /// Moves the cursor back to where the line ends without its last byte.
    fn wipe(&mut self, byte: u8, out: &mut dyn FnMut(u8)) {
        let echoes_control = self.settings.local(ECHOCTL);
        let characters = self.settings.input(IUTF8);
        let end = self
            .line
            .iter()
            .fold(self.line_column, |column, byte| match byte {
                b'\t' => next_tab(column),
                _ if is_control(*byte) => column + if echoes_control { 2 } else { 0 },
                _ if characters && is_continuation(*byte) => column,
                _ => column + 1,
            });
        while self.column > end {
            if byte == b'\t' {
                out(BACKSPACE);
            } else {
                [BACKSPACE, b' ', BACKSPACE].into_iter().for_each(&mut *out);
            }
            self.column -= 1;
        }
    }

    /// Sends a byte, processed as the output flags say.
    pub(super) fn put(&mut self, byte: u8, out: &mut dyn FnMut(u8)) {
        let translate = self.settings.output(OPOST);
        let characters = self.settings.input(IUTF8);
        let newline = byte == b'\n' && translate && self.settings.output(ONLCR);
        match byte {
            b'\n' if newline => {
                out(b'\r');
                out(b'\n');
            }
            b'\r' if translate && self.settings.output(OCRNL) => out(b'\n'),
            _ => out(byte),
        }
        self.column = match byte {
            b'\r' => 0,
            b'\n' if newline => 0,
            b'\t' => next_tab(self.column),
            BACKSPACE => self.column.saturating_sub(1),
            _ if is_control(byte) || characters && is_continuation(byte) => self.column,
            _ => self.column + 1,
        };
        if self.line.is_empty() {
            self.line_column = self.column;
        }
    }

    /// Other settings: what was typed so far is read as they say.
    pub(super) fn set(&mut self, settings: termios) -> Effect {
        let was = self.settings.local(ICANON);
        self.settings = settings;
        let is = self.settings.local(ICANON);
        if was && !is {
            self.finish_as_bytes();
        } else if !was && is {
            let bytes = self.ready.drain(..).filter_map(|cell| cell.byte);
            self.line.extend(bytes);
        }
        let released = self.stopped && !self.settings.input(IXON);
        self.stopped &= !released;
        Effect {
            signal: None,
            readable: true,
            writable: released,
        }
    }

    fn finish_as_bytes(&mut self) {
        self.ready.retain(|cell| cell.byte.is_some());
        for cell in &mut self.ready {
            cell.ends = false;
        }
        let cell = |byte| Cell {
            byte: Some(byte),
            ends: false,
        };
        let line = core::mem::take(&mut self.line);
        self.ready.extend(line.into_iter().map(cell));
    }

    /// Forgets what was typed and not read.
    pub(super) fn flush(&mut self) {
        self.ready.clear();
        self.line.clear();
        self.line_column = self.column;
    }

    /// True if a read would find something: a line, or `least` bytes.
    pub(super) fn has_input(&self, least: usize) -> bool {
        if self.settings.local(ICANON) {
            !self.ready.is_empty()
        } else {
            self.ready.len() >= least.max(1)
        }
    }

    /// Bytes that FIONREAD counts.
    pub(super) fn pending(&self) -> usize {
        self.ready.iter().filter(|cell| cell.byte.is_some()).count()
    }

    /// Takes what a read gets, up to the end of a line; true if that was met.
    pub(super) fn take(&mut self, into: &mut [u8]) -> (usize, bool) {
        let mut count = 0;
        while count < into.len() {
            let Some(cell) = self.ready.pop_front() else {
                return (count, false);
            };
            if let Some(byte) = cell.byte {
                into[count] = byte;
                count += 1;
            }
            if cell.ends {
                return (count, true);
            }
        }
        (count, false)
    }
}

fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t' && byte != b'\n') || byte == 0x7F
}

fn next_tab(column: usize) -> usize {
    (column | 7) + 1
}

/// A byte inside a character of UTF-8, which has no column of its own.
fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}
