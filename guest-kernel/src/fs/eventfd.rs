//! Event descriptors: a number that writes add to and reads take.

use alloc::string::String;

use linux_raw_sys::general::{POLLERR, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM};

use super::special::SpecialFile;
use super::transfer::{Sink, Source};
use crate::errno::{Errno, Result};
use crate::sched::WaitQueue;
use crate::sync::SpinLock;

/// The most that the number can be.
const MOST: u64 = u64::MAX - 1;

/// The number, and who waits for a change of it.
pub struct EventFd {
    count: SpinLock<u64>,
    /// A read takes one and not all.
    semaphore: bool,
    changed: WaitQueue,
}

impl EventFd {
    /// One that begins with this number.
    pub fn new(count: u64, semaphore: bool) -> Self {
        EventFd {
            count: SpinLock::new(count),
            semaphore,
            changed: WaitQueue::new(),
        }
    }

    fn take(&self) -> Option<u64> {
        let mut count = self.count.lock();
        let taken = match *count {
            0 => return None,
            _ if self.semaphore && !crate::mutant!("eventfd-semaphore-takes-all") => 1,
            all => all,
        };
        *count -= taken;
        Some(taken)
    }

    fn add(&self, value: u64) -> Option<()> {
        let mut count = self.count.lock();
        let sum = count.checked_add(value).filter(|sum| *sum <= MOST)?;
        *count = sum;
        Some(())
    }
}

impl SpecialFile for EventFd {
    fn label(&self) -> String {
        "anon_inode:[eventfd]".into()
    }

    fn read(&self, to: &mut dyn Sink, _: u64, nonblocking: bool) -> Result<usize> {
        if to.room() < 8 {
            return Err(Errno::EINVAL);
        }
        let taken = match self.take() {
            Some(taken) => taken,
            None if nonblocking => return Err(Errno::EAGAIN),
            None => {
                let taken = self.changed.wait_interruptible(None, || self.take())?;
                taken.ok_or(Errno::EAGAIN)?
            }
        };
        self.changed.wake_all();
        if to.put(&taken.to_le_bytes()) < 8 {
            return Err(Errno::EFAULT);
        }
        Ok(8)
    }

    fn write(&self, from: &mut dyn Source, _: u64, nonblocking: bool) -> Result<usize> {
        if from.left() < 8 {
            return Err(Errno::EINVAL);
        }
        let mut bytes = [0; 8];
        if from.take(&mut bytes) < 8 {
            return Err(Errno::EFAULT);
        }
        let value = u64::from_le_bytes(bytes);
        if value == u64::MAX {
            return Err(Errno::EINVAL);
        }
        if self.add(value).is_none() {
            if nonblocking {
                return Err(Errno::EAGAIN);
            }
            self.changed.wait_interruptible(None, || self.add(value))?;
        }
        self.changed.wake_all();
        Ok(8)
    }

    fn ignores_seek(&self) -> bool {
        true
    }

    fn readiness(&self) -> u32 {
        match *self.count.lock() {
            0 => POLLOUT | POLLWRNORM,
            u64::MAX => POLLERR | POLLIN | POLLRDNORM,
            MOST => POLLIN | POLLRDNORM,
            _ => POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM,
        }
    }

    fn queue(&self) -> Option<&WaitQueue> {
        Some(&self.changed)
    }
}
