//! Bringing a page in: what a page fault asks for, and the kernel itself
//! before it copies from or to user memory.

use abi::event::{FaultKind, FrameKind, PageFault};

use super::frame::{self, Frame};
use super::page_table::{Entry, Place};
use super::space::{Mm, Space};
use super::vma::{Prot, Vma};
use crate::arch::layout::{PAGE_SIZE, USER_END};
use crate::errno::Errno;
use crate::probe;

/// What is to be done at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Executing.
    Execute,
}

/// Why that is not possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing is mapped there.
    Unmapped,
    /// Something is mapped, but not for this.
    Forbidden,
    /// The page lies behind the end of its file.
    BehindEnd,
    /// There is no memory.
    NoMemory,
}

impl Access {
    fn needs(self) -> Prot {
        match self {
            // A page that may be written or executed can be read on x86.
            Access::Read => Prot::all(),
            Access::Write => Prot::WRITE,
            Access::Execute => Prot::EXEC,
        }
    }

    /// The access that a page fault's error code tells of.
    #[must_use]
    pub fn from_error(error: u64) -> Self {
        match (error & 1 << 1 != 0, error & 1 << 4 != 0) {
            (true, _) => Access::Write,
            (false, true) => Access::Execute,
            (false, false) => Access::Read,
        }
    }
}

impl Refusal {
    /// What a system call that needed the access fails with.
    #[must_use]
    pub fn errno(self) -> Errno {
        match self {
            Refusal::NoMemory => Errno::ENOMEM,
            Refusal::Unmapped | Refusal::Forbidden | Refusal::BehindEnd => Errno::EFAULT,
        }
    }
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Self {
        if error == Errno::ENOMEM {
            Refusal::NoMemory
        } else {
            Refusal::BehindEnd
        }
    }
}

impl Mm {
    /// Makes an access possible.
    ///
    /// # Errors
    /// The reason why it never will be.
    pub fn fault(&self, address: u64, access: Access) -> Result<FaultKind, Refusal> {
        let mut space = self.lock();
        let (kind, _) = space.bring_in(address, access)?;
        if kind == FaultKind::Spurious {
            // The CPU still held an older translation with fewer rights.
            space.tables.flush(address);
        }
        Ok(kind)
    }

    /// Makes an access possible on the kernel's behalf, and does it. The space
    /// stays locked meanwhile: a fork cannot come between the two and leave
    /// the frame to the child.
    /// What had to be done is an event as if the CPU had faulted.
    pub(super) fn with_frame<R>(
        &self,
        address: u64,
        access: Access,
        work: impl FnOnce(&Frame, &Vma) -> R,
    ) -> Result<R, Refusal> {
        let mut space = self.lock();
        let found = space.bring_in(address, access);
        let kind = found.as_ref().map_or(FaultKind::Bad, |(kind, _)| *kind);
        let area = space.area(address).ok_or(Refusal::Unmapped);
        let done = found.and_then(|(_, place)| Ok(work(&place.get().frame(), area?)));
        drop(space);
        if kind != FaultKind::Spurious {
            let present = u64::from(matches!(kind, FaultKind::Cow | FaultKind::Reuse));
            probe::emit(&PageFault {
                kind: kind.into(),
                address,
                ip: 0,
                error: present | u64::from(access == Access::Write) << 1,
            });
        }
        done
    }
}

impl Space {
    fn bring_in(&mut self, address: u64, access: Access) -> Result<(FaultKind, Place), Refusal> {
        if address >= USER_END {
            return Err(Refusal::Unmapped);
        }
        let area = self.area_or_grow(address).ok_or(Refusal::Unmapped)?;
        if !area.prot.intersects(access.needs()) {
            return Err(Refusal::Forbidden);
        }
        let area = area.clone();
        let page = address & !(PAGE_SIZE - 1);
        let place = self.tables.place_or_new(page)?;
        let entry = place.get();
        let kind = if !entry.is_present() {
            fill(&area, page, &place, access)?
        } else if access == Access::Write && !entry.is_writable() {
            let (kind, before) = make_writable(&area, &place)?;
            // Nobody may reach the old frame any more when it is let go.
            self.tables.flush(page);
            drop(before);
            kind
        } else {
            FaultKind::Spurious
        };
        Ok((kind, place))
    }
}

/// Puts a page in where there was none.
fn fill(area: &Vma, page: u64, place: &Place, access: Access) -> Result<FaultKind, Refusal> {
    let may_write = area.prot.contains(Prot::WRITE);
    let Some((source, index)) = area.source_page(page) else {
        let frame = frame::alloc(FrameKind::User)?;
        place.set(Entry::new(frame, area.prot, may_write));
        return Ok(FaultKind::Zero);
    };
    let frame = source.backing.page(index)?;
    let copied = !source.anonymous && crate::mutant!("shared-file-copied");
    if area.shared && !copied {
        // One reference is ours, one the source's.
        let kind = match (frame.references() > 2, source.anonymous) {
            (true, _) => FaultKind::Shared,
            (false, true) => FaultKind::Zero,
            (false, false) => FaultKind::File,
        };
        place.set(Entry::new(frame, area.prot, may_write));
        return Ok(kind);
    }
    let entry = if access == Access::Write {
        let copy = frame::alloc_uncleared(FrameKind::User)?;
        copy.copy_from(&frame);
        Entry::new(copy, area.prot, true)
    } else {
        Entry::new(frame, area.prot, false)
    };
    place.set(entry);
    Ok(FaultKind::File)
}

/// Makes a page writable that was put in read-only: the last owner takes it
/// over, everyone else gets a copy. Gives the frame that was there before.
fn make_writable(area: &Vma, place: &Place) -> Result<(FaultKind, Option<Frame>), Refusal> {
    let entry = place.get();
    let in_place = crate::mutant!("cow-in-place") && !area.grows_down;
    let last = entry.references() == 1 && !crate::mutant!("last-owner-copies");
    if area.shared || last || in_place {
        if crate::mutant!("reuse-costs-a-copy") {
            frame::alloc_uncleared(FrameKind::User)?.copy_from(&entry.frame());
        }
        place.set(entry.with(area.prot, true));
        let kind = if area.shared {
            FaultKind::Shared
        } else {
            FaultKind::Reuse
        };
        return Ok((kind, None));
    }
    let original = entry.frame();
    let copy = frame::alloc_uncleared(FrameKind::User)?;
    copy.copy_from(&original);
    let before = place.replace(Entry::new(copy, area.prot, true));
    Ok((FaultKind::Cow, before))
}
