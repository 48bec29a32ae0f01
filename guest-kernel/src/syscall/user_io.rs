//! A task's memory as the origin or destination of a transfer.

use alloc::vec::Vec;

use crate::errno::{Errno, Result};
use crate::fs::transfer::{Sink, Source};
use crate::mm::frame::Frame;
use crate::mm::user;

/// The most that one call moves, as on Linux.
const MOST: usize = 0x7FFF_F000;

/// The most ranges that one call takes.
const IOV_MAX: u64 = 1024;

const PAGE: u64 = 4096;

/// A stretch of user addresses. That it lies in the user's half is checked,
/// no more: what is there shows when it is touched.
#[derive(Clone, Copy)]
pub struct Range {
    address: u64,
    len: u64,
}

/// A stretch of user addresses.
///
/// # Errors
/// EFAULT: it leaves the user's half.
pub fn range(address: u64, len: u64) -> Result<Range> {
    user::check_range(address, len)?;
    Ok(Range { address, len })
}

/// The stretches that `count` iovecs at `address` name.
///
/// # Errors
/// EINVAL or EFAULT.
pub fn ranges(address: u64, count: u64) -> Result<Vec<Range>> {
    if count > IOV_MAX {
        return Err(Errno::EINVAL);
    }
    let mut ranges = Vec::new();
    ranges
        .try_reserve_exact(count as usize)
        .map_err(|_| Errno::ENOMEM)?;
    for at in 0..count {
        let [base, len]: [u64; 2] = user::read_value(address.wrapping_add(at * 16))?;
        if (len as i64) < 0 {
            return Err(Errno::EINVAL);
        }
        ranges.push(range(base, len)?);
    }
    Ok(ranges)
}

/// Where a transfer is in a task's memory.
pub struct UserBuffer<'a> {
    ranges: &'a [Range],
    /// Bytes of the first range that are done.
    done: u64,
    left: usize,
}

impl<'a> UserBuffer<'a> {
    /// A transfer over these ranges, cut to what one call moves.
    pub fn new(ranges: &'a [Range]) -> Self {
        let total = ranges
            .iter()
            .fold(0u64, |sum, range| sum.saturating_add(range.len));
        UserBuffer {
            ranges,
            done: 0,
            left: usize::try_from(total).unwrap_or(MOST).min(MOST),
        }
    }

    /// The next addresses, all in one page: a page is there or is not, so
    /// what was moved before a bad address is known to the byte.
    fn next(&mut self, most: usize) -> Option<(u64, usize)> {
        while let Some(range) = self.ranges.first() {
            if self.done < range.len {
                let address = range.address + self.done;
                let in_page = PAGE - address % PAGE;
                let count = in_page.min(range.len - self.done).min(most as u64);
                return Some((address, count as usize));
            }
            self.ranges = &self.ranges[1..];
            self.done = 0;
        }
        None
    }

    fn advance(&mut self, count: usize) {
        self.done += count as u64;
        self.left -= count;
    }
}

impl UserBuffer<'_> {
    /// Moves up to `most` bytes: each piece with an address, how many were
    /// moved before it, and its length. Stops at the first that fails.
    fn walk(
        &mut self,
        most: usize,
        mut each: impl FnMut(u64, usize, usize) -> Result<()>,
    ) -> usize {
        let mut done = 0;
        while done < most {
            let Some((address, count)) = self.next((most - done).min(self.left)) else {
                break;
            };
            if count == 0 || each(address, done, count).is_err() {
                break;
            }
            self.advance(count);
            done += count;
        }
        done
    }
}

impl Sink for UserBuffer<'_> {
    fn room(&self) -> usize {
        self.left
    }

    fn put(&mut self, bytes: &[u8]) -> usize {
        self.walk(bytes.len(), |address, done, count| {
            user::write_bytes(address, &bytes[done..done + count])
        })
    }

    fn put_frame(&mut self, frame: &Frame, at: usize, count: usize) -> usize {
        self.walk(count, |address, done, count| {
            if crate::mutant!("pipe-delivers-nothing") && count as u64 == PAGE {
                return Ok(());
            }
            user::current()?.write_from_frame(address, count, frame, at + done)
        })
    }
}

impl Source for UserBuffer<'_> {
    fn left(&self) -> usize {
        self.left
    }

    fn take(&mut self, into: &mut [u8]) -> usize {
        self.walk(into.len(), |address, done, count| {
            user::read_bytes(address, &mut into[done..done + count])
        })
    }

    fn take_to_frame(&mut self, frame: &Frame, at: usize, count: usize) -> usize {
        self.walk(count, |address, done, count| {
            user::current()?.read_to_frame(address, count, frame, at + done)
        })
    }
}
