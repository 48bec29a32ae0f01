//! Restartable sequences: a task's word with the kernel about where it runs,
//! and stretches of user code that start over when something came between.
//!
//! A task registers an [`Area`] of its memory. The kernel keeps the CPU's
//! number there. The task names the section that it is in there, and when it
//! was switched away from or takes a signal inside of it, it goes on at the
//! section's abort address.
//!
//! Nothing is done about it before the way to user mode, where the interrupted
//! address is known and memory may be brought in. `sched::take_switched` says
//! there whether the task was away: the mark is taken *before* the area is
//! looked at, so that a switch at any later instruction sets it again and the
//! way to user mode comes back here. Doing the same twice does no harm, since
//! whoever was led to the abort address is in no section any more.

use super::{Task, current, signal};
use crate::arch::layout::USER_END;
use crate::arch::trap::TrapFrame;
use crate::arch::{irq, percpu};
use crate::errno::{Errno, Result};
use crate::mm::user::{self, Plain};
use crate::sched;
use crate::signal::{SigInfo, Signal};

/// The size that the area always had, which takes its own alignment.
const FIRST_SIZE: u32 = 32;
/// AT_RSEQ_FEATURE_SIZE: up to the end of the last field that is served.
pub const FEATURE_SIZE: u64 = 28;
/// AT_RSEQ_ALIGN.
pub const ALIGN: u64 = 32;

/// `cpu_id` of an area that is not registered.
const UNINITIALIZED: u32 = u32::MAX;

/// What a task has registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Where the area lies.
    pub area: u64,
    /// Its size.
    pub len: u32,
    /// What must lie before every abort address.
    pub signature: u32,
}

/// `struct rseq`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Area {
    place: Place,
    section: u64,
    flags: u32,
    node_id: u32,
    mm_cid: u32,
    pad: u32,
}

/// `cpu_id_start` and `cpu_id`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
struct Place {
    start: u32,
    now: u32,
}

const SECTION_AT: u64 = core::mem::offset_of!(Area, section) as u64;
const NODE_AT: u64 = core::mem::offset_of!(Area, node_id) as u64;
const _: () = assert!(size_of::<Area>() == FIRST_SIZE as usize);

/// `struct rseq_cs`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Section {
    version: u32,
    flags: u32,
    start: u64,
    length: u64,
    abort: u64,
}

// SAFETY: numbers side by side, without padding.
unsafe impl Plain for Area {}
// SAFETY: numbers side by side, without padding.
unsafe impl Plain for Place {}
// SAFETY: numbers side by side, without padding.
unsafe impl Plain for Section {}

impl Registration {
    /// Compares with what is registered.
    fn matches(&self, other: &Registration) -> Result<()> {
        if self.area != other.area || self.len != other.len {
            return Err(Errno::EINVAL);
        }
        if self.signature != other.signature {
            return Err(Errno::EPERM);
        }
        Ok(())
    }

    /// Checks what nobody has registered yet.
    fn check(&self) -> Result<()> {
        let sound = match self.len {
            FIRST_SIZE => self.area.is_multiple_of(u64::from(FIRST_SIZE)),
            len => len > FIRST_SIZE && self.area.is_multiple_of(ALIGN),
        };
        if !sound {
            return Err(Errno::EINVAL);
        }
        user::check_range(self.area, self.len.into())
    }

    fn read(&self) -> Result<Area> {
        user::read_value(self.area)
    }

    /// Forgets the section that the task was in.
    fn clear_section(&self) -> Result<()> {
        user::write_value(self.area + SECTION_AT, 0_u64)
    }

    /// Writes where the task runs, if that is not what stands there: a child's
    /// page stays its parent's for as long as both run in the same place.
    fn tell(&self, area: &Area, place: Place, node: [u32; 2]) -> Result<()> {
        if area.place != place {
            user::write_value(self.area, place)?;
        }
        if [area.node_id, area.mm_cid] != node {
            user::write_value(self.area + NODE_AT, node)?;
        }
        Ok(())
    }

    /// The section that an area names, checked as Linux does.
    fn section(&self, area: &Area) -> Result<Section> {
        if area.section >= USER_END {
            return Err(Errno::EINVAL);
        }
        let section: Section = user::read_value(area.section)?;
        let end = section.start.checked_add(section.length);
        let inside = end.is_some_and(|end| end < USER_END) && section.abort < USER_END;
        if !inside || section.version != 0 || section.has(section.abort) {
            return Err(Errno::EINVAL);
        }
        let signature: u32 = user::read_value(section.abort.wrapping_sub(4))?;
        if signature != self.signature {
            return Err(Errno::EINVAL);
        }
        Ok(section)
    }
}

impl Section {
    /// True if the address lies in it. (Its end is where it has done its work.)
    fn has(&self, address: u64) -> bool {
        address.wrapping_sub(self.start) < self.length
    }
}

/// Registers an area for the running task.
///
/// # Errors
/// With one registered already: `EBUSY` for the very same, `EPERM` if only the
/// signature differs, else `EINVAL`. Otherwise `EINVAL` for a size or an
/// alignment that is not right, `EFAULT`.
pub fn register(wanted: Registration) -> Result<()> {
    let task = current();
    let registered = *task.rseq.lock();
    if let Some(registered) = registered {
        registered.matches(&wanted)?;
        return Err(Errno::EBUSY);
    }
    wanted.check()?;
    // What an earlier owner of the memory left there is no section of ours.
    if wanted.read()?.section != 0 {
        wanted.clear_section()?;
    }
    *task.rseq.lock() = Some(wanted);
    // The area is filled in on the way out.
    sched::set_notify(true);
    Ok(())
}

/// Takes the running task's registration back.
///
/// # Errors
/// `EINVAL` for another area or size or if there is none, `EPERM` for another
/// signature, `EFAULT`.
pub fn unregister(wanted: Registration) -> Result<()> {
    let task = current();
    let registered = *task.rseq.lock();
    registered.ok_or(Errno::EINVAL)?.matches(&wanted)?;
    let nowhere = Place {
        start: 0,
        now: UNINITIALIZED,
    };
    wanted.tell(&wanted.read()?, nowhere, [0, 0])?;
    forget(&task);
    Ok(())
}

/// The running task has nothing registered any more; a new program begins so.
pub(super) fn forget(task: &Task) {
    *task.rseq.lock() = None;
    sched::set_notify(false);
}

/// The CPU that the caller runs on. Interrupts being on, it may be another one
/// by the time the task is in user mode: then it has been switched, and comes
/// here again.
fn cpu() -> u32 {
    irq::disable();
    let id = percpu::with(|cpu| cpu.id);
    irq::restore();
    id
}

/// On the way to user mode after others have run: the task's section starts
/// over and its area says where it runs now. What cannot be done ends in SIGSEGV.
pub fn resume(frame: &mut TrapFrame) {
    if follow(frame).is_err() {
        signal::force(SigInfo::kernel(Signal::SIGSEGV));
    }
}

/// A handler is about to run, or the task was away: the registers lead out of
/// the section, if they are in one.
///
/// # Errors
/// Any, if the area or what it names is broken: SIGSEGV is due.
pub(super) fn follow(frame: &mut TrapFrame) -> Result<()> {
    let registered = *current().rseq.lock();
    let Some(registered) = registered else {
        return Ok(());
    };
    let area = registered.read()?;
    if area.section != 0 {
        let section = registered.section(&area)?;
        let inside = section.has(frame.rip);
        if inside && (section.flags != 0 || area.flags != 0) {
            // No flag has a meaning any more.
            return Err(Errno::EINVAL);
        }
        registered.clear_section()?;
        if inside {
            frame.rip = section.abort;
        }
    }
    // One node. The CPU's number tells apart what runs in one memory at the
    // same time, which is what the last field is for.
    let cpu = cpu();
    let place = Place {
        start: cpu,
        now: cpu,
    };
    registered.tell(&area, place, [0, cpu])
}
