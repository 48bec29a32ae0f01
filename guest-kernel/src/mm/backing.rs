//! What stands behind a mapping that is not plain memory.

use super::frame::Frame;
use crate::errno::Result;

/// A source of pages: a file, or memory that several tasks share.
pub trait Backing: Send + Sync {
    /// The frame that holds page `index`; the same one each time. What lies
    /// behind the end of the file in its last page is zero.
    ///
    /// # Errors
    /// `ENOMEM`; `EINVAL` for a page that begins behind the end.
    fn page(&self, index: u64) -> Result<Frame>;

    /// True if page `index` is in memory already.
    fn is_resident(&self, index: u64) -> bool {
        let _ = index;
        false
    }

    /// The length in bytes.
    fn len(&self) -> u64;

    /// True for a segment of System V shared memory, which shmdt takes away.
    fn is_segment(&self) -> bool {
        false
    }
}

/// Reads from a backing; the count falls short at its end only.
///
/// # Errors
/// As [`Backing::page`].
pub fn read(backing: &dyn Backing, offset: u64, buffer: &mut [u8]) -> Result<usize> {
    let end = backing
        .len()
        .min(offset.saturating_add(buffer.len() as u64));
    let mut at = offset;
    while at < end {
        let frame = backing.page(at / 4096)?;
        let inside = (at % 4096) as usize;
        let count = (4096 - inside).min((end - at) as usize);
        let done = (at - offset) as usize;
        frame.read(inside, &mut buffer[done..done + count]);
        at += count as u64;
    }
    Ok(at.saturating_sub(offset) as usize)
}
