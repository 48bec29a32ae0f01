//! Reading /proc: paths that are put together, whole files, directories.

use core::ffi::CStr;
use core::fmt::{self, Write as _};

use linux_raw_sys::general::{__NR_getdents64, __NR_mprotect, O_DIRECTORY};

use crate::errno::{Errno, Result};
use crate::sys::{self, Fd, O_CLOEXEC, O_RDONLY, O_WRONLY, call};

/// A path that was put together.
pub struct Path {
    bytes: [u8; 128],
    len: usize,
}

impl fmt::Write for Path {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let place = self.bytes.get_mut(self.len..self.len + text.len());
        place.ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

impl Path {
    /// Puts a path together. A longer one than 127 bytes is a panic.
    #[must_use]
    pub fn new(text: fmt::Arguments<'_>) -> Self {
        let mut path = Path {
            bytes: [0; 128],
            len: 0,
        };
        assert!(path.write_fmt(text).is_ok() && path.len < path.bytes.len());
        path
    }

    /// The path as calls want it.
    #[must_use]
    pub fn get(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

/// `path!("/proc/{pid}/status")`
#[macro_export]
macro_rules! path {
    ($($arg:tt)*) => { $crate::sys_proc::Path::new(::core::format_args!($($arg)*)) };
}

/// What a file contains, as far as it fits.
pub struct Contents {
    bytes: [u8; 8192],
    len: usize,
}

impl Contents {
    /// Reads a file.
    ///
    /// # Errors
    /// As open(2) and read(2).
    pub fn of(path: &CStr) -> Result<Self> {
        let fd = sys::open(path, O_RDONLY | O_CLOEXEC, 0)?;
        let contents = Self::behind(fd);
        sys::close(fd)?;
        contents
    }

    /// Reads what an open file has left.
    ///
    /// # Errors
    /// As read(2).
    pub fn behind(fd: Fd) -> Result<Self> {
        let mut contents = Contents {
            bytes: [0; 8192],
            len: 0,
        };
        loop {
            let room = contents.bytes.get_mut(contents.len..).unwrap_or_default();
            match sys::read(fd, room)? {
                0 => return Ok(contents),
                count => contents.len += count,
            }
        }
    }

    /// As bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// As text; nothing if it is none.
    #[must_use]
    pub fn text(&self) -> &str {
        core::str::from_utf8(self.bytes()).unwrap_or_default()
    }

    /// What stands behind `name:` in one of its lines.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        let value = |line: &'_ str| {
            let rest = line.strip_prefix(name)?.strip_prefix(':')?;
            Some((line.len() - rest.len(), line.len()))
        };
        let mut lines = self.text().lines();
        let found = lines.find_map(|line| value(line).map(|(from, to)| line.get(from..to)));
        found.flatten().unwrap_or_default().trim()
    }

    /// A field as a number; -1 if it is none.
    #[must_use]
    pub fn number(&self, name: &str) -> i64 {
        self.field(name).parse().unwrap_or(-1)
    }

    /// A field as a hexadecimal number.
    #[must_use]
    pub fn hex(&self, name: &str) -> u64 {
        u64::from_str_radix(self.field(name), 16).unwrap_or(0)
    }
}

/// Writes a file that is there.
///
/// # Errors
/// As open(2) and write(2).
pub fn write_file(path: &CStr, bytes: &[u8]) -> Result<()> {
    let fd = sys::open(path, O_WRONLY | O_CLOEXEC, 0)?;
    let written = sys::write(fd, bytes);
    sys::close(fd)?;
    written.map(drop)
}

/// Calls `visit` with every name of a directory but `.` and `..`.
///
/// # Errors
/// As open(2) and getdents64(2).
pub fn names(path: &CStr, mut visit: impl FnMut(&str)) -> Result<()> {
    let fd = sys::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0)?;
    let mut bytes = [0_u8; 2048];
    loop {
        let (at, len) = (bytes.as_mut_ptr() as usize, bytes.len());
        // SAFETY: the kernel writes into the array and no more.
        let got = unsafe { call(__NR_getdents64, [fd as usize, at, len, 0, 0, 0]) };
        let got = match got {
            Ok(0) => return sys::close(fd),
            Ok(got) => got,
            Err(errno) => {
                sys::close(fd)?;
                return Err(errno);
            }
        };
        let mut entries = bytes.get(..got).unwrap_or_default();
        // An entry: inode, offset, length of the entry, kind, name.
        while let Some(&[low, high]) = entries.get(16..18) {
            let len = usize::from(u16::from_le_bytes([low, high]));
            let name = entries.get(19..len).unwrap_or_default();
            let name = CStr::from_bytes_until_nul(name).map_err(|_| Errno::EINVAL)?;
            match name.to_str() {
                Ok("." | "..") | Err(_) => {}
                Ok(name) => visit(name),
            }
            entries = entries.get(len..).unwrap_or_default();
        }
    }
}

/// How many names a directory has.
///
/// # Errors
/// As [`names`].
pub fn count(path: &CStr) -> Result<usize> {
    let mut count = 0;
    names(path, |_| count += 1)?;
    Ok(count)
}

/// True if a directory lists this number.
///
/// # Errors
/// As [`names`].
pub fn lists(path: &CStr, number: i32) -> Result<bool> {
    let mut found = false;
    names(path, |name| found |= name.parse() == Ok(number))?;
    Ok(found)
}

/// `mprotect` of whole pages.
///
/// # Errors
/// As mprotect(2).
pub fn protect(address: usize, bytes: usize, protection: u32) -> Result<()> {
    // SAFETY: the programs that call this touch the pages only as they then may.
    unsafe {
        call(
            __NR_mprotect,
            [address, bytes, protection as usize, 0, 0, 0],
        )
    }
    .map(drop)
}
