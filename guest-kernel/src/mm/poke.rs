//! Writing into another task's memory as its debugger does: where the task
//! itself may not write, too.

use abi::event::FrameKind;

use super::fault::{Access, Refusal};
use super::frame;
use super::page_table::Entry;
use super::space::{Mm, Space};
use super::vma::Prot;
use crate::arch::layout::{PAGE_SIZE, USER_END};
use crate::errno::{Errno, Result};

impl Mm {
    /// Writes bytes, whatever the rights of private memory are: a page that
    /// others have, too, is copied first. Stops at the first page that cannot
    /// be written.
    ///
    /// # Errors
    /// `EFAULT`, `ENOMEM`.
    pub fn poke(&self, address: u64, bytes: &[u8]) -> Result<()> {
        let end = address.checked_add(bytes.len() as u64);
        if end.is_none_or(|end| end > USER_END) {
            return Err(Errno::EFAULT);
        }
        let mut done = 0;
        while done < bytes.len() {
            let at = address + done as u64;
            let inside = (at % PAGE_SIZE) as usize;
            let count = (PAGE_SIZE as usize - inside).min(bytes.len() - done);
            let piece = &bytes[done..done + count];
            let may_write = {
                let space = self.lock();
                let area = space.area(at).ok_or(Errno::EFAULT)?;
                area.prot.contains(Prot::WRITE) || area.shared
            };
            if may_write {
                self.write_bytes(at, piece)?;
            } else {
                self.fault(at, Access::Read).map_err(Refusal::errno)?;
                self.lock().poke_private(at, piece)?;
            }
            done += count;
        }
        Ok(())
    }
}

impl Space {
    /// Writes into a page of private memory that is there and that its owner
    /// may only read.
    fn poke_private(&mut self, address: u64, bytes: &[u8]) -> Result<()> {
        let prot = self.area(address).ok_or(Errno::EFAULT)?.prot;
        let page = address & !(PAGE_SIZE - 1);
        let place = self.tables.place_or_new(page)?;
        let entry = place.get();
        if !entry.is_present() {
            return Err(Errno::EFAULT);
        }
        if entry.references() > 1 && !crate::mutant!("poke-shares-page") {
            let original = entry.frame();
            let copy = frame::alloc_uncleared(FrameKind::User)?;
            copy.copy_from(&original);
            let before = place.replace(Entry::new(copy, prot, false));
            self.tables.flush(page);
            drop(before);
        }
        let inside = (address - page) as usize;
        place.get().frame().write(inside, bytes);
        Ok(())
    }
}
