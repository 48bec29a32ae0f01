//! Segments of shared memory. How often one is attached is how many areas of
//! address spaces refer to its pages; a removed one lives on with them.

use alloc::sync::{Arc, Weak};

use super::IpcNamespace;
use super::permission::{ALTER, EXEC, Owners, Permission, READ};
use super::registry::{Object, Registry};
use super::semaphores::seconds;
use crate::arch::layout::PAGE_SIZE;
use crate::errno::{Errno, Result};
use crate::mm::shared::SharedPages;
use crate::mm::vma::{Prot, Source, Vma};
use crate::mm::{Backing, Mm, frame};
use crate::sync::SpinLock;
use crate::task;
use crate::task::credentials::Cap;

/// The most segments.
pub const SEGMENTS_MAX: u32 = 4096;
/// The most bytes of one.
pub const SIZE_MAX: u64 = u64::MAX - (1 << 24);
/// The segment goes with its last user.
const SHM_DEST: u32 = 0o1000;
/// The segment is not swapped, which here none is.
const SHM_LOCKED: u32 = 0o2000;

enum Pages {
    /// It has a name.
    Kept(Arc<SharedPages>),
    /// Only who attached it keeps it.
    Left(Weak<SharedPages>),
}

/// When and by whom something was done last.
#[derive(Clone, Copy, Debug, Default)]
pub struct History {
    /// When it was attached, in seconds since 1970.
    pub attached: u64,
    /// When shmdt detached it.
    pub detached: u64,
    /// When shmctl changed it.
    pub changed: u64,
    /// The group that made it.
    pub maker: u32,
    /// The group that attached or detached it.
    pub user: u32,
    locked: bool,
}

/// A segment.
pub struct Segment {
    permission: Permission,
    size: u64,
    pages: SpinLock<Pages>,
    history: SpinLock<History>,
}

/// What IPC_STAT tells.
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// The key.
    pub key: i32,
    /// Whose it is; the mode says also whether it is removed or locked.
    pub owners: Owners,
    /// Bytes.
    pub size: u64,
    /// How often it is attached.
    pub attached: u64,
    /// What was done with it.
    pub history: History,
}

impl Object for Segment {
    fn permission(&self) -> &Permission {
        &self.permission
    }
}

impl Segment {
    fn new(permission: Permission, size: u64) -> Self {
        let history = History {
            changed: seconds(),
            maker: task::current().tgid().0,
            ..History::default()
        };
        Segment {
            permission,
            size,
            pages: SpinLock::new(Pages::Kept(Arc::new(SharedPages::segment(size)))),
            history: SpinLock::new(history),
        }
    }

    /// Its pages, unless it is removed and nobody has it attached.
    fn pages(&self) -> Option<Arc<SharedPages>> {
        match &*self.pages.lock() {
            Pages::Kept(pages) => Some(pages.clone()),
            Pages::Left(pages) => pages.upgrade(),
        }
    }

    fn attached(&self) -> u64 {
        let count = match &*self.pages.lock() {
            Pages::Kept(pages) => Arc::strong_count(pages) - 1,
            Pages::Left(pages) => pages.strong_count(),
        };
        count as u64
    }

    fn is_removed(&self) -> bool {
        matches!(&*self.pages.lock(), Pages::Left(_))
    }

    fn is_gone(&self) -> bool {
        self.is_removed() && self.attached() == 0
    }

    /// What IPC_STAT tells.
    #[must_use]
    pub fn status(&self) -> Status {
        let history = *self.history.lock();
        let mut owners = self.permission.owners();
        if self.is_removed() {
            owners.mode |= SHM_DEST;
        }
        if history.locked {
            owners.mode |= SHM_LOCKED;
        }
        Status {
            key: self.permission.key(),
            owners,
            size: self.size,
            attached: self.attached(),
            history,
        }
    }
}

impl IpcNamespace {
    /// The registry, without what has gone with its last user.
    fn live_segments(&self) -> crate::sync::SpinGuard<'_, Registry<Segment>> {
        let mut segments = self.segments.lock();
        segments.forget(Segment::is_gone);
        segments
    }

    fn segment(&self, id: i32, wanted: u32) -> Result<Arc<Segment>> {
        let segment = self.live_segments().get(id)?;
        let me = task::current().credentials();
        segment.permission.check(wanted, &me, self)?;
        Ok(segment)
    }

    fn own_segment(&self, id: i32) -> Result<Arc<Segment>> {
        let segment = self.live_segments().get(id)?;
        let me = task::current().credentials();
        segment.permission.check_owner(&me, self)?;
        Ok(segment)
    }

    /// `shmget`.
    ///
    /// # Errors
    /// `EINVAL`, `EACCES`, `EEXIST`, `ENOENT`, `ENOSPC`, `ENOMEM`.
    pub fn get_segment(&self, key: i32, size: u64, flags: u32) -> Result<i32> {
        let me = task::current().credentials();
        let found = self.live_segments().find(key, flags)?;
        if let Some((id, segment)) = found {
            if size > segment.size {
                return Err(Errno::EINVAL);
            }
            segment.permission.check(flags, &me, self)?;
            return Ok(id);
        }
        if size == 0 || size > SIZE_MAX {
            return Err(Errno::EINVAL);
        }
        frame::room()?;
        let segment = Arc::new(Segment::new(Permission::new(key, flags, &me), size));
        self.segments.lock().enter(segment, SEGMENTS_MAX)
    }

    /// `shmat` at an address, over what is there if it may be replaced, or
    /// with 0 where there is room.
    ///
    /// # Errors
    /// `EINVAL`, `EACCES`, `EIDRM`, `ENOMEM`.
    pub fn attach_segment(
        &self,
        mm: &Mm,
        id: i32,
        at: u64,
        how: Prot,
        replace: bool,
    ) -> Result<u64> {
        let mut wanted = READ;
        for (right, permission) in [(Prot::WRITE, ALTER), (Prot::EXEC, EXEC)] {
            if how.contains(right) {
                wanted |= permission;
            }
        }
        let segment = self.segment(id, wanted)?;
        let len = segment.size.checked_next_multiple_of(PAGE_SIZE);
        let len = len.ok_or(Errno::ENOMEM)?;
        let pages = segment.pages().ok_or(Errno::EIDRM)?;
        let private = crate::mutant!("shm-copies");
        let backing: Arc<dyn Backing> = pages;
        let area = |range| Vma {
            shared: !private,
            source: Some(Source {
                backing,
                first: 0,
                anonymous: true,
                file: None,
            }),
            ..Vma::anonymous(range, how)
        };
        let address = if at == 0 {
            mm.map_anywhere(0, len, area)?
        } else {
            let end = at.checked_add(len).ok_or(Errno::EINVAL)?;
            if !replace && !mm.is_free(at..end) {
                return Err(Errno::EINVAL);
            }
            mm.map(area(at..end))?;
            at
        };
        let mut history = segment.history.lock();
        history.attached = seconds();
        history.user = task::current().tgid().0;
        Ok(address)
    }

    /// `shmdt` has taken these pages out of an address space.
    pub fn segment_detached(&self, pages: &Arc<dyn Backing>) {
        let wanted = Arc::as_ptr(pages).cast::<()>();
        let segments = self.live_segments();
        let is_it = |segment: &Segment| {
            let own = segment.pages();
            own.is_some_and(|own| Arc::as_ptr(&own).cast::<()>() == wanted)
        };
        for (_, segment) in segments.iter().filter(|(_, segment)| is_it(segment)) {
            let mut history = segment.history.lock();
            history.detached = seconds();
            history.user = task::current().tgid().0;
        }
    }

    /// IPC_STAT.
    ///
    /// # Errors
    /// `EINVAL`, `EACCES`.
    pub fn segment_status(&self, id: i32) -> Result<Status> {
        self.segment(id, READ).map(|segment| segment.status())
    }

    /// SHM_STAT and, without the check, SHM_STAT_ANY: the id of the segment at
    /// a place, and its status.
    ///
    /// # Errors
    /// `EINVAL`, `EACCES`.
    pub fn segment_at(&self, place: i32, check: bool) -> Result<(i32, Status)> {
        let (id, segment) = self.live_segments().at(place)?;
        if check {
            self.segment_status(id)?;
        }
        Ok((id, segment.status()))
    }

    /// IPC_SET, with ids of the first user namespace.
    ///
    /// # Errors
    /// `EINVAL`, `EPERM`.
    pub fn set_segment_owner(&self, id: i32, uid: u32, gid: u32, mode: u32) -> Result<()> {
        let segment = self.own_segment(id)?;
        segment.permission.set(uid, gid, mode);
        segment.history.lock().changed = seconds();
        Ok(())
    }

    /// IPC_RMID: at once, or when nobody has it attached any more.
    ///
    /// # Errors
    /// `EINVAL`, `EPERM`.
    pub fn remove_segment(&self, id: i32) -> Result<()> {
        let segment = self.own_segment(id)?;
        segment.permission.lose_key();
        let kept = {
            let mut pages = segment.pages.lock();
            let weak = match &*pages {
                Pages::Kept(kept) => Arc::downgrade(kept),
                Pages::Left(left) => left.clone(),
            };
            core::mem::replace(&mut *pages, Pages::Left(weak))
        };
        drop(kept);
        drop(self.live_segments());
        Ok(())
    }

    /// SHM_LOCK and SHM_UNLOCK: nothing is ever swapped, so the mark is all.
    ///
    /// # Errors
    /// `EINVAL`, `EPERM`.
    pub fn lock_segment(&self, id: i32, locked: bool) -> Result<()> {
        let segment = self.live_segments().get(id)?;
        let me = task::current().credentials();
        if !me.capable_in(self.user(), Cap::IpcLock) {
            segment.permission.check_owner(&me, self)?;
        }
        segment.history.lock().locked = locked;
        Ok(())
    }

    /// How many segments there are, the highest place in use, and how many
    /// pages they have room for and take up.
    #[must_use]
    pub fn segment_totals(&self) -> (u32, u32, u64, u64) {
        let segments = self.live_segments();
        let (highest, count) = segments.extent();
        let (mut room, mut used) = (0_u64, 0);
        for (_, segment) in segments.iter() {
            room = room.saturating_add(segment.size.div_ceil(PAGE_SIZE));
            used += segment.pages().map_or(0, |pages| pages.frames());
        }
        (count, highest, room, used)
    }
}
