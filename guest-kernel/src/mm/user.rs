//! User memory as system calls see it. A user pointer is a claim: every access
//! may fail with `EFAULT`, and may sleep while pages are brought in.
//!
//! The kernel never goes through a user mapping: it finds the frame as the
//! page-fault handler would and copies through its own map. So there is no
//! fault inside the kernel, whatever the pointer is.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem::{MaybeUninit, size_of};

use super::fault::{Access, Refusal};
use super::frame::Frame;
use super::space::Mm;
use crate::arch::layout::{PAGE_SIZE, USER_END};
use crate::errno::{Errno, Result};
use crate::sync::Once;

/// Asks the task room for the running task's address space.
pub static CURRENT: Once<fn() -> Option<Arc<Mm>>> = Once::new();

/// The running task's address space.
///
/// # Errors
/// `EFAULT` if it has none.
pub fn current() -> Result<Arc<Mm>> {
    CURRENT
        .get()
        .and_then(|current| current())
        .ok_or(Errno::EFAULT)
}

/// A type of which every bit pattern is a value, and which has no padding.
///
/// # Safety
/// Both are true of the type.
pub unsafe trait Plain: Copy {}

macro_rules! plain {
    ($($type:ty)*) => { $(
        // SAFETY: an integer.
        unsafe impl Plain for $type {}
    )* };
}

plain!(u8 i8 u16 i16 u32 i32 u64 i64 usize);

// SAFETY: an array has no padding of its own.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// The bytes of a plain value.
#[must_use]
pub fn bytes_of<T: Plain>(value: &T) -> &[u8] {
    // SAFETY: a plain type has no padding.
    unsafe { core::slice::from_raw_parts((&raw const *value).cast(), size_of::<T>()) }
}

impl Mm {
    /// Splits a range at page borders and gives each piece's frame.
    fn pieces(
        &self,
        address: u64,
        len: usize,
        access: Access,
        mut each: impl FnMut(&Frame, usize, usize, usize),
    ) -> Result<()> {
        let end = address.checked_add(len as u64).ok_or(Errno::EFAULT)?;
        if end > USER_END {
            return Err(Errno::EFAULT);
        }
        let mut at = address;
        while at < end {
            let inside = (at % PAGE_SIZE) as usize;
            let count = (PAGE_SIZE as usize - inside).min((end - at) as usize);
            let done = (at - address) as usize;
            self.with_frame(at, access, |frame, _| each(frame, inside, done, count))
                .map_err(Refusal::errno)?;
            at += count as u64;
        }
        Ok(())
    }

    /// Copies bytes out of the address space.
    ///
    /// # Errors
    /// `EFAULT`, `ENOMEM`.
    pub fn read_bytes(&self, address: u64, buffer: &mut [u8]) -> Result<()> {
        self.pieces(
            address,
            buffer.len(),
            Access::Read,
            |frame, inside, done, count| {
                frame.read(inside, &mut buffer[done..done + count]);
            },
        )
    }

    /// Copies bytes into the address space.
    ///
    /// # Errors
    /// `EFAULT`, `ENOMEM`; what lies before the bad page has been written.
    pub fn write_bytes(&self, address: u64, bytes: &[u8]) -> Result<()> {
        self.pieces(
            address,
            bytes.len(),
            Access::Write,
            |frame, inside, done, count| {
                frame.write(inside, &bytes[done..done + count]);
            },
        )
    }

    /// Copies bytes out of the address space, into a frame.
    ///
    /// # Errors
    /// `EFAULT`, `ENOMEM`.
    pub fn read_to_frame(&self, address: u64, len: usize, to: &Frame, offset: usize) -> Result<()> {
        self.pieces(address, len, Access::Read, |frame, inside, done, count| {
            to.copy_part(offset + done, frame, inside, count);
        })
    }

    /// Copies bytes of a frame into the address space.
    ///
    /// # Errors
    /// `EFAULT`, `ENOMEM`; what lies before the bad page has been written.
    pub fn write_from_frame(
        &self,
        address: u64,
        len: usize,
        from: &Frame,
        offset: usize,
    ) -> Result<()> {
        self.pieces(address, len, Access::Write, |frame, inside, done, count| {
            frame.copy_part(inside, from, offset + done, count);
        })
    }

    /// Fills a range with zeros.
    ///
    /// # Errors
    /// `EFAULT`, `ENOMEM`.
    pub fn clear_bytes(&self, address: u64, len: usize) -> Result<()> {
        self.pieces(address, len, Access::Write, |frame, inside, _, count| {
            frame.clear(inside, count);
        })
    }

    /// Reads a value, aligned or not.
    ///
    /// # Errors
    /// `EFAULT`, `ENOMEM`.
    pub fn read_value<T: Plain>(&self, address: u64) -> Result<T> {
        let mut value = MaybeUninit::<T>::zeroed();
        // SAFETY: the bytes are initialised, to zero.
        let bytes = unsafe {
            core::slice::from_raw_parts_mut(value.as_mut_ptr().cast::<u8>(), size_of::<T>())
        };
        self.read_bytes(address, bytes)?;
        // SAFETY: every bit pattern is a value.
        Ok(unsafe { value.assume_init() })
    }

    /// Writes a value, aligned or not.
    ///
    /// # Errors
    /// `EFAULT`, `ENOMEM`.
    pub fn write_value<T: Plain>(&self, address: u64, value: T) -> Result<()> {
        self.write_bytes(address, bytes_of(&value))
    }
}

/// Copies bytes from the running task.
///
/// # Errors
/// `EFAULT`, `ENOMEM`.
pub fn read_bytes(address: u64, buffer: &mut [u8]) -> Result<()> {
    current()?.read_bytes(address, buffer)
}

/// Copies bytes to the running task.
///
/// # Errors
/// `EFAULT`, `ENOMEM`.
pub fn write_bytes(address: u64, bytes: &[u8]) -> Result<()> {
    current()?.write_bytes(address, bytes)
}

/// Reads a value of the running task.
///
/// # Errors
/// `EFAULT`, `ENOMEM`.
pub fn read_value<T: Plain>(address: u64) -> Result<T> {
    current()?.read_value(address)
}

/// Writes a value of the running task.
///
/// # Errors
/// `EFAULT`, `ENOMEM`.
pub fn write_value<T: Plain>(address: u64, value: T) -> Result<()> {
    current()?.write_value(address, value)
}

/// Reads a string up to its NUL, which is not part of the result.
///
/// # Errors
/// `EFAULT`, `ENOMEM`; `ENAMETOOLONG` if there is no NUL in `max` bytes.
pub fn read_cstr(address: u64, max: usize) -> Result<Vec<u8>> {
    let mm = current()?;
    let mut string = Vec::new();
    let mut at = address;
    while string.len() < max {
        let in_page = (PAGE_SIZE - at % PAGE_SIZE) as usize;
        let mut piece = [0; 256];
        let count = in_page.min(piece.len()).min(max - string.len());
        mm.read_bytes(at, &mut piece[..count])?;
        if let Some(end) = piece[..count].iter().position(|&byte| byte == 0) {
            string.extend_from_slice(&piece[..end]);
            return Ok(string);
        }
        string.extend_from_slice(&piece[..count]);
        at += count as u64;
    }
    Err(Errno::ENAMETOOLONG)
}

/// Checks that a range lies in the user's half and does not wrap around;
/// nothing more is known of it then.
///
/// # Errors
/// `EFAULT` if it does not.
pub fn check_range(address: u64, len: u64) -> Result<()> {
    match address.checked_add(len) {
        Some(end) if end <= USER_END => Ok(()),
        _ => Err(Errno::EFAULT),
    }
}
