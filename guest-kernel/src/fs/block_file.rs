//! A disk as a file: `/dev/vda`.

use alloc::string::{String, ToString};

use linux_raw_sys::general::{
    O_ACCMODE, O_RDONLY, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM, S_IFBLK,
};

use linux_raw_sys::ioctl::{BLKFLSBUF, BLKGETSIZE, BLKGETSIZE64, BLKSSZGET};

use super::special::SpecialFile;
use super::transfer::{Sink, Source};
use crate::block::{BlockDevice, PAGE};
use crate::errno::{Errno, Result};
use crate::mm::user;

/// Bytes of a sector.
const SECTOR: u32 = 512;

/// The major number of virtio disks on Linux; it is handed out at boot there.
const MAJOR: u64 = 254;

/// The disk's file.
pub struct BlockFile(pub &'static BlockDevice);

/// The part of a transfer that lies in one page: the page, where in it, and
/// how many bytes. Nothing from the end on.
fn part(at: u64, wanted: usize, end: u64) -> Option<(u64, usize, usize)> {
    let count = (PAGE - at % PAGE)
        .min(end.checked_sub(at)?)
        .min(wanted as u64) as usize;
    (count > 0).then_some((at / PAGE, (at % PAGE) as usize, count))
}

impl SpecialFile for BlockFile {
    fn label(&self) -> String {
        "/dev/vda".to_string()
    }

    fn file_type(&self) -> u32 {
        S_IFBLK
    }

    fn device_number(&self) -> u64 {
        MAJOR << 8
    }

    fn size(&self) -> u64 {
        self.0.len()
    }

    fn opened(&self, flags: u32) -> Result<()> {
        if flags & O_ACCMODE != O_RDONLY {
            self.0.opened_to_write();
        }
        Ok(())
    }

    fn closed(&self, flags: u32) {
        if flags & O_ACCMODE != O_RDONLY {
            self.0.closed_to_write();
        }
    }

    fn read(&self, to: &mut dyn Sink, at: u64, _nonblocking: bool) -> Result<usize> {
        let mut done = 0;
        while let Some((page, within, count)) = part(at + done as u64, to.room(), self.0.len()) {
            let moved = self
                .0
                .read(page, |frame| to.put_frame(frame, within, count));
            match moved {
                Ok(moved) => {
                    done += moved;
                    if moved < count {
                        return short(done);
                    }
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    fn write(&self, from: &mut dyn Source, at: u64, _nonblocking: bool) -> Result<usize> {
        if from.left() > 0 && at >= self.0.len() {
            return Err(Errno::ENOSPC);
        }
        let mut done = 0;
        while let Some((page, within, count)) = part(at + done as u64, from.left(), self.0.len()) {
            let whole = count == PAGE as usize;
            let moved = self.0.write(page, whole, |frame| {
                from.take_to_frame(frame, within, count)
            });
            match moved {
                Ok(moved) => {
                    done += moved;
                    if moved < count {
                        return short(done);
                    }
                }
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    fn readiness(&self) -> u32 {
        POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM
    }

    fn seekable(&self) -> bool {
        true
    }

    fn sync(&self) -> Result<()> {
        self.0.sync()
    }

    fn ioctl(&self, request: u32, argument: u64) -> Result<u64> {
        match request {
            BLKFLSBUF => self.0.sync()?,
            BLKSSZGET => user::write_value(argument, SECTOR)?,
            BLKGETSIZE => user::write_value(argument, self.0.len() / u64::from(SECTOR))?,
            BLKGETSIZE64 => user::write_value(argument, self.0.len())?,
            _ => return Err(Errno::ENOTTY),
        }
        Ok(0)
    }
}

/// A transfer that met a bad address.
fn short(done: usize) -> Result<usize> {
    match done {
        0 => Err(Errno::EFAULT),
        done => Ok(done),
    }
}
