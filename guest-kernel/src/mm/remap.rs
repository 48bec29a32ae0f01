//! Giving mappings another length or another place.

use core::convert::Infallible;
use core::ops::Range;

use super::frame;
use super::space::{Mm, Space};
use crate::arch::layout::{PAGE_SIZE, USER_END};
use crate::errno::{Errno, Result};

/// What is to become of a mapping.
pub struct Remap {
    /// Where it is; of no length if it is to be there twice.
    pub from: Range<u64>,
    /// How long it is to be.
    pub new_len: u64,
    /// It may go elsewhere if there is no room.
    pub may_move: bool,
    /// Where it is to go, over whatever is there.
    pub to: Option<u64>,
    /// What it leaves behind stays mapped, without its pages.
    pub keep: bool,
}

impl Mm {
    /// Gives a mapping another length or place; says where it is afterwards.
    ///
    /// # Errors
    /// `EFAULT` if it is not the whole or a part of one area, `EINVAL` for
    /// what cannot be there twice, `ENOMEM`.
    pub fn remap(&self, request: &Remap) -> Result<u64> {
        frame::room()?;
        self.lock().remap(request)
    }
}

impl Space {
    fn remap(&mut self, request: &Remap) -> Result<u64> {
        let from = &request.from;
        let area = self.area(from.start).ok_or(Errno::EFAULT)?;
        if from.is_empty() {
            return self.map_again(request);
        }
        if from.end > area.end {
            return Err(Errno::EFAULT);
        }
        let old_len = from.end - from.start;
        let to = match request.to {
            None if !request.keep => return self.resize(request),
            None => self.find_free(0, request.new_len).ok_or(Errno::ENOMEM)?,
            Some(to) => {
                self.unmap(to..to + request.new_len);
                to
            }
        };
        let kept = from.start..from.start + old_len.min(request.new_len);
        self.unmap(kept.end..from.end);
        self.relocate(&kept, to, request.new_len, request.keep)?;
        Ok(to)
    }

    /// Maps what is shared a second time.
    fn map_again(&mut self, request: &Remap) -> Result<u64> {
        let start = request.from.start;
        let mut twin = self.area(start).ok_or(Errno::EFAULT)?.clone();
        if !twin.shared || !request.may_move {
            return Err(Errno::EINVAL);
        }
        if start > twin.start {
            twin = twin.split_off(start);
        }
        let to = match request.to {
            Some(to) => to,
            None => self.find_free(0, request.new_len).ok_or(Errno::ENOMEM)?,
        };
        self.unmap(to..to + request.new_len);
        twin.start = to;
        twin.end = to + request.new_len;
        self.insert(twin);
        Ok(to)
    }

    fn resize(&mut self, request: &Remap) -> Result<u64> {
        let (from, new_len) = (&request.from, request.new_len);
        let area = self.area(from.start).ok_or(Errno::EFAULT)?;
        let at_end = area.end == from.end;
        if new_len <= from.end - from.start {
            self.unmap(from.start + new_len..from.end);
            return Ok(from.start);
        }
        let grown = from.start..from.start.checked_add(new_len).ok_or(Errno::ENOMEM)?;
        if at_end && grown.end <= USER_END && self.is_free(&(from.end..grown.end)) {
            for mut part in self.take(from) {
                part.end = grown.end;
                self.insert(part);
            }
            return Ok(from.start);
        }
        if !request.may_move {
            return Err(Errno::ENOMEM);
        }
        let start = self.find_free(0, new_len).ok_or(Errno::ENOMEM)?;
        self.relocate(from, start, new_len, false)?;
        Ok(start)
    }

    /// Moves one area's part to a free place and gives it a new length.
    fn relocate(&mut self, from: &Range<u64>, to: u64, new_len: u64, keep: bool) -> Result<()> {
        let mut next = self.tables.first_mapped(from.clone());
        while let Some(address) = next {
            self.tables.place_or_new(to + (address - from.start))?;
            next = self.tables.first_mapped(address + PAGE_SIZE..from.end);
        }
        for mut part in self.take(from) {
            if keep {
                self.insert(part.clone());
            }
            part.start = to;
            part.end = to + new_len;
            part.grows_down = false;
            self.insert(part);
        }
        let tables = &self.tables;
        let Ok(()) = tables.for_each(from.clone(), |address, place| {
            if let Some(there) = tables.place(to + (address - from.start))
                && !crate::mutant!("mremap-loses-pages")
            {
                there.set(place.get());
                core::mem::forget(place.clear());
                tables.flush(address);
            }
            Ok::<(), Infallible>(())
        });
        if crate::mutant!("mremap-loses-pages") {
            self.tables.unmap(from.clone());
        }
        Ok(())
    }
}
