//! Address translation: the page walk, the modelled TLB, and page faults.
//!
//! The TLB is part of the machine. What it holds stays in use until it is
//! flushed or replaced, whatever the page tables say meanwhile.

pub mod fast;
mod fetch;
mod tlb;
mod walk;

use serde::{Deserialize, Serialize};

use crate::addr::{PhysAddr, VirtAddr};
use crate::bus::Bus;
use crate::bus::ram;
use fast::Mode;
use fetch::Fetches;
pub(crate) use tlb::Tlb;
use tlb::{Entry, Rights};

/// What the control registers say about paging; the CPU works it out when they
/// change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paging {
    /// CR0.PG: without it a virtual address is a physical one of 32 bits.
    pub enabled: bool,
    /// CR3 without its flags: the table of level 3.
    pub root: PhysAddr,
    /// The process context (PCID) that translations belong to; 0 without CR4.PCIDE.
    pub context: u16,
    /// CR0.WP: the supervisor, too, may not write to read-only pages.
    pub write_protect: bool,
    /// EFER.NXE: bit 63 of an entry forbids fetching (else it is reserved).
    pub no_execute: bool,
    /// CR4.PGE: bit 8 of a last entry makes it survive a load of CR3.
    pub global: bool,
    /// CR4.SMEP: the supervisor may not fetch from user pages.
    pub smep: bool,
    /// CR4.SMAP: the supervisor may not read or write user pages, except with
    /// [`Access::ac`].
    pub smap: bool,
}

/// One access to memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// It writes (read-modify-write accesses count as writes from the start).
    pub write: bool,
    /// It fetches an instruction.
    pub fetch: bool,
    /// It is made with the rights of CPL 3. Accesses to descriptor tables and
    /// the TSS are the supervisor's at any CPL.
    pub user: bool,
    /// EFLAGS.AC is set and the access is an explicit one: SMAP looks away.
    pub ac: bool,
}

/// A translation that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageFault {
    /// The error code that #PF pushes.
    pub code: u32,
    /// The address for CR2.
    pub address: VirtAddr,
}

/// Bits of a page fault's error code.
pub mod code {
    /// The page was present; its rights or reserved bits refused the access.
    pub const PRESENT: u32 = 1;
    /// The access was a write.
    pub const WRITE: u32 = 2;
    /// The access was made with the rights of CPL 3.
    pub const USER: u32 = 4;
    /// A reserved bit was set in a table entry.
    pub const RESERVED: u32 = 8;
    /// The access was an instruction fetch (told only with NX or SMEP on).
    pub const FETCH: u32 = 16;
}

/// The work that translations did since it was last asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Translations that the TLB did not have.
    pub misses: u32,
    /// Table entries that were read.
    pub steps: u32,
}

/// One CPU's memory management unit.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Mmu {
    tlb: Tlb,
    /// Taken by the CPU before each boundary, so it is no state.
    #[serde(skip)]
    work: Work,
    /// Host only.
    #[serde(skip)]
    fetches: Fetches,
    /// Host only: what `fetches` and the direct ways were checked against.
    #[serde(skip)]
    paging: Paging,
    /// Host only: by which RAM knows whose translations its direct ways are.
    #[serde(skip)]
    owner: u64,
}

impl Mmu {
    /// The physical address of `va`, or the fault that the access raises.
    ///
    /// # Errors
    /// The page fault, with its exact error code.
    #[inline]
    pub fn translate(
        &mut self,
        bus: &mut Bus,
        paging: &Paging,
        va: VirtAddr,
        access: Access,
    ) -> Result<PhysAddr, PageFault> {
        let known = match access.fetch {
            true => self.fetches.find(va, access.user),
            false => bus.ram.reached(Mode::of(access), va, access.write),
        };
        match known {
            Some(pa) => Ok(pa),
            None => self.translate_fully(bus, paging, va, access),
        }
    }

    /// The physical address of `va` if the access is sure to pass, be it with a
    /// walk; this changes nothing.
    pub(crate) fn foresee(
        &self,
        bus: &Bus,
        paging: &Paging,
        va: VirtAddr,
        access: Access,
    ) -> Option<PhysAddr> {
        if !paging.enabled || !va.is_canonical() {
            return None;
        }
        let (rights, frame) = match self.tlb.find(va.page(), paging.context) {
            Some(entry) if !allowed(entry.rights, paging, access) => return None,
            Some(entry) if !access.write || entry.rights.contains(Rights::DIRTY) => {
                (entry.rights, entry.frame)
            }
            _ => {
                let leaf = walk::walk(bus, paging, va, &mut 0).ok()?;
                (leaf.rights, leaf.frame_of(va))
            }
        };
        allowed(rights, paging, access).then_some(PhysAddr(frame << 12 | va.offset()))
    }

    /// The physical address if a fetch is known to pass, which changes nothing.
    #[inline]
    #[must_use]
    pub fn known(&self, va: VirtAddr, user: bool) -> Option<PhysAddr> {
        self.fetches.find(va, user)
    }

    /// Makes sure that the direct ways through RAM are those of this MMU.
    #[inline]
    pub(crate) fn attach(&mut self, bus: &mut Bus) {
        bus.ram.attach(&mut self.owner);
    }

    #[inline(never)]
    fn translate_fully(
        &mut self,
        bus: &mut Bus,
        paging: &Paging,
        va: VirtAddr,
        access: Access,
    ) -> Result<PhysAddr, PageFault> {
        if !paging.enabled {
            return Ok(PhysAddr(va.0 & 0xFFFF_FFFF));
        }
        self.set_paging(bus, paging);
        let entry = match self.tlb.find(va.page(), paging.context) {
            Some(entry) if !allowed(entry.rights, paging, access) => {
                // The fault comes from the cached rights, stale or not; as on
                // hardware it takes the entry with it, so that a second try
                // sees the tables.
                self.forget(bus, va.page(), paging.context);
                return Err(refuse(paging, va, access, code::PRESENT));
            }
            Some(entry) if !access.write || entry.rights.contains(Rights::DIRTY) => *entry,
            _ => self.refill(bus, paging, va, access)?,
        };
        let pa = PhysAddr((entry.frame << 12) | va.offset());
        if access.fetch {
            let global = entry.is_global();
            self.fetches.keep(va, access.user, entry.frame, global);
        } else {
            let write = Access {
                write: true,
                ..access
            };
            let rights = ram::Rights {
                write: entry.rights.contains(Rights::DIRTY) && allowed(entry.rights, paging, write),
                global: entry.is_global(),
            };
            if access.write {
                // Else the way would lead to a page that the write replaces at once.
                bus.ram.expect_writes(pa);
            }
            bus.ram.reach(Mode::of(access), va, pa, rights);
        }
        Ok(pa)
    }

    /// Walks the tables and puts what they say into the TLB.
    fn refill(
        &mut self,
        bus: &mut Bus,
        paging: &Paging,
        va: VirtAddr,
        access: Access,
    ) -> Result<Entry, PageFault> {
        self.work.misses += 1;
        let found = walk::walk(bus, paging, va, &mut self.work.steps);
        let leaf = match found {
            Ok(leaf) if allowed(leaf.rights, paging, access) => leaf,
            refused => {
                walk::mark_way(bus, paging, va);
                self.forget(bus, va.page(), paging.context);
                let reason = refused.err().unwrap_or(code::PRESENT);
                return Err(refuse(paging, va, access, reason));
            }
        };
        let entry = walk::mark(bus, &leaf, va, access.write).in_context(paging.context);
        if let Some(evicted) = self.tlb.fill(entry) {
            self.drop_page(bus, evicted);
        }
        // A walk for the dirty bit may have found another frame than reads use.
        self.drop_page(bus, va.page());
        Ok(entry)
    }

    fn forget(&mut self, bus: &mut Bus, page: u64, context: u16) {
        self.tlb.drop_page(page, context);
        self.drop_page(bus, page);
    }

    /// What the host knows of this page holds no longer.
    fn drop_page(&mut self, bus: &mut Bus, page: u64) {
        self.fetches.drop_page(page);
        bus.ram.forget_page(page);
    }

    /// What the host knows of pages that are not global holds no longer.
    fn drop_local(&mut self, bus: &mut Bus) {
        self.fetches.drop_local();
        bus.ram.forget_local();
    }

    fn drop_all(&mut self, bus: &mut Bus) {
        self.fetches.clear();
        bus.ram.forget_pages();
    }

    /// The control registers may say something new: what was allowed may not be
    /// any more. The CPU calls this after each change of them. The modelled TLB is
    /// not concerned, only the host's knowledge of it. That does not depend on
    /// where the tables lie: what a load of CR3 does to the TLB comes by itself.
    pub fn set_paging(&mut self, bus: &mut Bus, paging: &Paging) {
        if self.paging == *paging {
            return;
        }
        let root = paging.root;
        let same_rules = Paging {
            root,
            ..self.paging
        } == *paging;
        self.paging = *paging;
        if !same_rules {
            self.drop_all(bus);
        }
    }

    /// A number that changes whenever a fetch that was [`known`](Mmu::known) to
    /// pass may no longer do so. Host only.
    #[inline]
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.fetches.epoch
    }

    /// The physical address of `va` by the tables as they are: no rights, no
    /// TLB, no accessed bits. For those who watch.
    #[must_use]
    pub fn look(bus: &Bus, paging: &Paging, va: VirtAddr) -> Option<PhysAddr> {
        if !paging.enabled {
            return Some(PhysAddr(va.0 & 0xFFFF_FFFF));
        }
        let leaf = walk::walk(bus, paging, va, &mut 0).ok()?;
        Some(PhysAddr((leaf.frame_of(va) << 12) | va.offset()))
    }

    /// INVLPG: forgets the page that holds `va`, all of it if it is a large one, in the context
    /// that is running, and if it is global in all.
    pub fn invalidate(&mut self, bus: &mut Bus, va: VirtAddr, context: u16) {
        self.invalidate_page(bus, va, context, true);
    }

    /// INVPCID of an address: the same in any context, but global pages stay.
    pub fn invalidate_in(&mut self, bus: &mut Bus, va: VirtAddr, context: u16) {
        self.invalidate_page(bus, va, context, false);
    }

    fn invalidate_page(&mut self, bus: &mut Bus, va: VirtAddr, context: u16, global_too: bool) {
        let Mmu { tlb, fetches, .. } = self;
        tlb.invalidate(va.page(), context, global_too, |page| {
            fetches.drop_page(page);
            bus.ram.forget_page(page);
        });
    }

    /// A load of CR3, INVPCID of a context: forgets its pages, but not the global ones.
    pub fn flush(&mut self, bus: &mut Bus, context: u16) {
        self.tlb.flush(|entry| entry.belongs_to(context));
        self.drop_local(bus);
    }

    /// INVPCID: forgets all contexts' pages, but not the global ones.
    pub fn flush_contexts(&mut self, bus: &mut Bus) {
        self.tlb.flush(|entry| !entry.is_global());
        self.drop_local(bus);
    }

    /// Forgets everything: CR0.PG, CR0.WP, CR4.PGE, PAE, SMEP, PCIDE changed, or INVPCID.
    pub fn flush_all(&mut self, bus: &mut Bus) {
        self.tlb.flush(|_| true);
        self.drop_all(bus);
    }

    /// What the modelled TLB holds now.
    pub(crate) fn moment(&self) -> Tlb {
        self.tlb.clone()
    }

    /// Has it hold that again; whoever does this takes the direct ways of RAM back, too.
    pub(crate) fn rewind(&mut self, tlb: &Tlb) {
        self.tlb.clone_from(tlb);
        self.fetches.clear();
        self.work = Work::default();
    }

    /// The work done since the last call. The CPU charges it to the instruction
    /// that caused it.
    #[inline]
    pub fn take_work(&mut self) -> Work {
        core::mem::take(&mut self.work)
    }

    /// True if the parts fit together, as those of a damaged snapshot may not.
    pub(crate) fn is_sound(&self) -> bool {
        self.tlb.is_sound()
    }
}

/// The rules of access rights, over the combined bits of all levels.
#[inline]
fn allowed(rights: Rights, paging: &Paging, access: Access) -> bool {
    let user_page = rights.contains(Rights::USER);
    let writable = rights.contains(Rights::WRITE);
    if access.fetch && rights.contains(Rights::NO_EXECUTE) {
        return false;
    }
    if access.user {
        return user_page && (writable || !access.write);
    }
    if user_page {
        if access.fetch && paging.smep {
            return false;
        }
        if !access.fetch && paging.smap && !access.ac {
            return false;
        }
    }
    writable || !access.write || !paging.write_protect
}

fn refuse(paging: &Paging, va: VirtAddr, access: Access, reason: u32) -> PageFault {
    let mut code = reason;
    if access.write {
        code |= code::WRITE;
    }
    if access.user {
        code |= code::USER;
    }
    if access.fetch && (paging.no_execute || paging.smep) {
        code |= code::FETCH;
    }
    PageFault { code, address: va }
}

#[cfg(test)]
mod tests;
