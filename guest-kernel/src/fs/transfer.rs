//! Where the bytes of a read go and where those of a write come from.
//!
//! Both may lie in user memory, which may be missing: a transfer that stops
//! short has met such a page, and what was moved before it counts, as on Linux.

use crate::mm::frame::Frame;

/// Takes bytes: the destination of a read.
pub trait Sink {
    /// How many more bytes fit.
    fn room(&self) -> usize;
    /// Stores bytes, at most `room()`; fewer than given means a bad address.
    fn put(&mut self, bytes: &[u8]) -> usize;
    /// Like `put`, with bytes of a frame.
    fn put_frame(&mut self, frame: &Frame, at: usize, count: usize) -> usize;
    /// True if a part of a frame that was taken is gone from where it came.
    fn keeps_part(&self) -> bool {
        false
    }
}

/// Gives bytes: the origin of a write.
pub trait Source {
    /// How many bytes are left.
    fn left(&self) -> usize;
    /// Fetches bytes, at most `left()`; fewer than asked means a bad address.
    fn take(&mut self, into: &mut [u8]) -> usize;
    /// Like `take`, into a frame.
    fn take_to_frame(&mut self, frame: &Frame, at: usize, count: usize) -> usize;
}

/// Bytes that are moved at a time through the kernel stack.
pub const CHUNK: usize = 512;

/// Hands over bytes, and zeros up to `count` behind them.
pub(super) fn from_bytes(bytes: &[u8], count: usize, to: &mut dyn Sink) -> usize {
    let there = bytes.len().min(count);
    let done = if there > 0 {
        to.put(&bytes[..there])
    } else {
        0
    };
    if done < there {
        return done;
    }
    done + zeros(count - there, to)
}

/// Hands over zeros.
pub(super) fn zeros(count: usize, to: &mut dyn Sink) -> usize {
    let chunk = [0; CHUNK];
    let mut done = 0;
    while done < count {
        let wanted = CHUNK.min(count - done);
        let moved = to.put(&chunk[..wanted]);
        done += moved;
        if moved < wanted {
            break;
        }
    }
    done
}
