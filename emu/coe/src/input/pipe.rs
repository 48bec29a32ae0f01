//! Input from a pipe or a file: typed line by line, each when the guest waits.
//!
//! No clock has a say in it, so the same bytes give the same run.

use std::io::Read;

use super::{Arrival, Asleep, Source};
use crate::Error;

/// The most that is typed at once. A terminal holds 4095 bytes that nobody reads.
const MOST: usize = 1024;

/// Ctrl-D, which ends the input of a terminal.
const END: u8 = 4;

/// Bytes that are typed whenever the machine has nothing else to do.
#[derive(Debug)]
pub struct Pipe<R: Read> {
    from: R,
    /// Read and not typed yet.
    buffer: Vec<u8>,
    /// The pipe is at its end.
    over: bool,
    /// The end was typed.
    told: bool,
    /// True if what was typed last ends a line.
    whole_line: bool,
    /// The programs' instructions when something was typed last.
    worked: Option<u64>,
}

impl<R: Read> Pipe<R> {
    /// Types what can be read there, then Ctrl-D for each read beyond the end.
    pub fn new(from: R) -> Self {
        Pipe {
            from,
            buffer: Vec::new(),
            over: false,
            told: false,
            whole_line: true,
            worked: None,
        }
    }

    /// The next line, as far as it can be typed at once; waits for it.
    fn line(&mut self) -> Result<Vec<u8>, Error> {
        let mut searched = 0;
        loop {
            let fresh = &self.buffer[searched..];
            let end = fresh.iter().position(|byte| *byte == b'\n');
            if let Some(end) = end {
                return Ok(self.cut(searched + end + 1));
            }
            if self.buffer.len() >= MOST || self.over {
                return Ok(self.cut(self.buffer.len()));
            }
            searched = self.buffer.len();
            self.fill()?;
        }
    }

    fn cut(&mut self, len: usize) -> Vec<u8> {
        self.buffer.drain(..len.min(MOST)).collect()
    }

    fn fill(&mut self) -> Result<(), Error> {
        let mut bytes = [0; 4096];
        let count = loop {
            match self.from.read(&mut bytes) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read.map_err(|source| Error::Stdin { source })?,
            }
        };
        self.over = count == 0;
        self.buffer.extend(&bytes[..count]);
        Ok(())
    }

    /// Ctrl-D; twice behind half a line, because the first one only ends that.
    fn end(&mut self) -> Vec<u8> {
        let times = if self.whole_line { 1 } else { 2 };
        self.whole_line = true;
        vec![END; times]
    }
}

impl<R: Read> Source for Pipe<R> {
    fn awake(&mut self, _now: u64) -> Result<Option<Arrival>, Error> {
        Ok(None)
    }

    fn asleep(&mut self, machine: Asleep) -> Result<Option<Arrival>, Error> {
        let unread = self.worked == Some(machine.worked);
        // While a program sleeps that does not read, its terminal would overflow.
        if unread && machine.wakes.is_some() {
            return Ok(None);
        }
        let mut bytes = self.line()?;
        if let Some(last) = bytes.last() {
            self.whole_line = *last == b'\n';
        } else {
            // A pipe's end is met by each read; nobody reads if nobody moved.
            if self.told && (unread || machine.wakes.is_some()) {
                return Ok(None);
            }
            self.told = true;
            bytes = self.end();
        }
        self.worked = Some(machine.worked);
        let at = machine.now;
        Ok(Some(Arrival::Typed { at, bytes }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(pipe: &mut Pipe<&[u8]>, worked: u64, wakes: Option<u64>) -> Option<Vec<u8>> {
        let now = 7;
        match pipe.asleep(Asleep { now, wakes, worked }).unwrap()? {
            Arrival::Typed { at: 7, bytes } => Some(bytes),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_line_comes_at_each_sleep_then_the_end() {
        let mut pipe = Pipe::new(&b"one\ntwo\n"[..]);
        assert_eq!(pipe.awake(1).unwrap(), None);
        assert_eq!(typed(&mut pipe, 1, None).unwrap(), b"one\n");
        assert_eq!(typed(&mut pipe, 2, None).unwrap(), b"two\n");
        assert_eq!(typed(&mut pipe, 3, None).unwrap(), [END]);
        assert_eq!(typed(&mut pipe, 4, None).unwrap(), [END], "again");
        assert_eq!(typed(&mut pipe, 4, None), None, "nobody cares");
    }

    #[test]
    fn half_a_line_is_ended_before_the_input_is() {
        let mut pipe = Pipe::new(&b"half"[..]);
        assert_eq!(typed(&mut pipe, 1, None).unwrap(), b"half");
        assert_eq!(typed(&mut pipe, 2, None).unwrap(), [END, END]);
        assert_eq!(typed(&mut pipe, 3, None).unwrap(), [END]);
    }

    #[test]
    fn what_nobody_reads_waits_while_time_passes() {
        let mut pipe = Pipe::new(&b"one\ntwo\n"[..]);
        assert_eq!(typed(&mut pipe, 1, Some(9)).unwrap(), b"one\n");
        assert_eq!(typed(&mut pipe, 1, Some(9)), None);
        assert_eq!(typed(&mut pipe, 2, Some(9)).unwrap(), b"two\n");
        assert_eq!(typed(&mut pipe, 3, Some(9)).unwrap(), [END]);
        assert_eq!(typed(&mut pipe, 4, Some(9)), None, "told once is enough");
        assert_eq!(typed(&mut pipe, 4, None).unwrap(), [END]);
    }

    #[test]
    fn a_line_without_end_comes_in_pieces() {
        let text = [b'x'; 2 * MOST + 1];
        let mut pipe = Pipe::new(&text[..]);
        let lens: Vec<usize> = (0..3)
            .map(|n| typed(&mut pipe, n, None).unwrap().len())
            .collect();
        assert_eq!(lens, [MOST, MOST, 1]);
    }

    /// Counts what is taken from it; it would never end.
    struct Endless(usize);

    impl Read for Endless {
        fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            assert!(self.0 < 1 << 20, "who reads on for a line's end?");
            bytes.fill(b'x');
            Ok(bytes.len())
        }
    }

    #[test]
    fn a_pipe_without_end_is_read_as_far_as_it_is_typed() {
        let mut pipe = Pipe::new(Endless(0));
        let line = pipe.line().unwrap();
        assert_eq!((line.len(), pipe.from.0), (MOST, 4096));
    }
}
