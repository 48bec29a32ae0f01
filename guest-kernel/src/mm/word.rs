//! Words of user memory that the kernel works on as the CPU would: looked at
//! or exchanged in one piece, in the page that is mapped at that moment.

use core::sync::atomic::AtomicU32;

use super::fault::{Access, Refusal};
use super::frame::Frame;
use super::space::Mm;
use crate::arch::layout::PAGE_SIZE;
use crate::errno::{Errno, Result};

impl Mm {
    /// Works on the aligned word at an address. The address space stays
    /// locked meanwhile: no other page takes the place of the word's.
    ///
    /// # Errors
    /// `EINVAL` if it is not aligned, `EFAULT`, `ENOMEM`.
    pub fn with_word<R>(
        &self,
        address: u64,
        access: Access,
        work: impl FnOnce(&AtomicU32) -> R,
    ) -> Result<R> {
        if !address.is_multiple_of(4) {
            return Err(Errno::EINVAL);
        }
        let outcome = self.with_frame(address, access, |frame, _| {
            let at = frame.bytes().wrapping_add((address % PAGE_SIZE) as usize);
            // SAFETY: an aligned word inside a frame that is referenced; user
            // tasks change it only as atomically as this.
            work(unsafe { AtomicU32::from_ptr(at.cast()) })
        });
        outcome.map_err(Refusal::errno)
    }

    /// The frame at an address, if the area there is shared with others.
    ///
    /// # Errors
    /// `EFAULT` if nothing is mapped there, `ENOMEM`.
    pub fn shared_frame(&self, address: u64) -> Result<Option<Frame>> {
        self.with_frame(address, Access::Read, |frame, area| {
            area.shared.then(|| frame.clone())
        })
        .map_err(Refusal::errno)
    }
}
