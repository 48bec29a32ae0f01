//! The next instruction: where it stands, and what has been decoded already.
//!
//! The cache is the host's business. It is keyed by physical frame, so it survives changes of the
//! page tables, and each frame's part is dropped when RAM reports a write to it.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::debug::ATTEND;
use super::decode::{MAX_LENGTH, decode};
use super::insn::{Insn, Seg};
use super::{Cx, Fault};
use crate::addr::{PAGE_SIZE, PhysAddr, VirtAddr};
use crate::mmu::Access;

/// The decoded instructions of one frame.
#[derive(Debug)]
struct CodePage {
    generation: u32,
    bits: u32,
    /// Place in `insns` plus one, for each offset at which an instruction begins.
    slots: Box<[u16; PAGE_SIZE as usize]>,
    insns: Vec<Insn>,
}

/// Decoded instructions: host only, never part of the machine's state.
#[derive(Debug, Default)]
pub struct CodeCache {
    pages: Vec<Option<CodePage>>,
    /// The instruction that crosses a page, which is decoded each time.
    crossing: Option<Insn>,
    recent: Recent,
}

/// The page that was fetched from last. While nothing has changed that could change its
/// translation or its code, the way there need not be gone again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Recent {
    /// Linear address of the page; its low bits are [`IN_USE`] and the mode of the CPU.
    page: u64,
    /// The epochs of translations and of code, added up: both only grow.
    epoch: u64,
    /// Where the page lies.
    frame: u64,
}

/// Bit of [`Recent::page`] that an empty one does not have.
const IN_USE: u64 = 4;

const UNSOUND: Fault = Fault::Missing("a sound cache of decoded instructions");

impl Clone for CodeCache {
    /// A copy of a machine decodes for itself.
    fn clone(&self) -> Self {
        CodeCache::default()
    }
}

impl CodeCache {
    /// Whether the decoded instructions of this frame are those that stand there.
    #[inline]
    fn knows(&self, frame: u64, generation: u32, bits: u32) -> bool {
        match self.pages.get(frame as usize) {
            Some(Some(page)) => page.generation == generation && page.bits == bits,
            _ => false,
        }
    }

    /// The place of an instruction within its frame's, if it has been decoded.
    #[inline]
    fn find(&self, frame: u64, offset: u64) -> Option<usize> {
        let page = self.pages.get(frame as usize)?.as_ref()?;
        usize::from(page.slots[(offset % PAGE_SIZE) as usize]).checked_sub(1)
    }

    #[inline]
    fn get(&self, frame: u64, index: usize) -> Option<&Insn> {
        self.pages.get(frame as usize)?.as_ref()?.insns.get(index)
    }

    fn page(&mut self, frame: u64) -> &mut Option<CodePage> {
        let index = frame as usize;
        if index >= self.pages.len() {
            self.pages.resize_with(index + 1, || None);
        }
        &mut self.pages[index]
    }
}

impl Cx<'_> {
    /// The instruction at CS:RIP.
    #[inline]
    pub(super) fn fetch<'c>(&mut self, code: &'c mut CodeCache) -> Result<&'c Insn, Fault> {
        let (va, bits) = self.fetch_address()?;
        if bits != 64 {
            return self.fetch_legacy(code, va, bits);
        }
        let mode = IN_USE | u64::from(self.user) << 1 | u64::from(self.code64) | self.attend;
        let page = va.0 & !(PAGE_SIZE - 1) | mode;
        let frame = code.recent.frame;
        if code.recent.page == page
            && code.recent.epoch == self.code_epoch()
            && let Some(index) = code.find(frame, va.offset())
        {
            return code.get(frame, index).ok_or(UNSOUND);
        }
        self.fetch_slowly(code, va, bits, page)
    }

    /// Where the instruction at RIP of 64-bit code lies, if fetching it is known to need no page
    /// walk and to raise no fault. It stays known while [`Cx::code_epoch`] is the same.
    #[inline]
    #[must_use]
    pub fn known_code(&self) -> Option<PhysAddr> {
        self.mmu.known(VirtAddr(self.cpu.rip), self.user)
    }

    /// A number that changes whenever the bytes at some linear address may have.
    #[inline]
    #[must_use]
    pub fn code_epoch(&self) -> u64 {
        self.mmu.epoch() + self.bus.ram.epoch()
    }

    /// Outside 64-bit code the instruction has to lie within the limit of CS.
    #[inline(never)]
    fn fetch_legacy<'c>(
        &mut self,
        code: &'c mut CodeCache,
        va: VirtAddr,
        bits: u32,
    ) -> Result<&'c Insn, Fault> {
        let rip = self.cpu.rip;
        let limit = u64::from(self.cpu.seg[Seg::Cs as usize].limit);
        let insn = self.fetch_slowly(code, va, bits, 0)?;
        match rip + u64::from(insn.len) - 1 <= limit {
            true => Ok(insn),
            false => Err(Fault::GP),
        }
    }

    #[inline(never)]
    fn fetch_slowly<'c>(
        &mut self,
        code: &'c mut CodeCache,
        va: VirtAddr,
        bits: u32,
        page: u64,
    ) -> Result<&'c Insn, Fault> {
        if self.attend != 0 {
            self.boundary(va)?;
        }
        let rights = Access {
            fetch: true,
            user: self.user,
            ..Access::default()
        };
        let pa = self.translate(va, rights)?;
        let frame = pa.frame();
        if code.knows(frame, self.bus.ram.generation(pa), bits)
            && let Some(index) = code.find(frame, pa.offset())
        {
            let epoch = self.code_epoch();
            let page = page & !ATTEND;
            code.recent = Recent { page, epoch, frame };
            return code.get(frame, index).ok_or(UNSOUND);
        }
        self.decode_into(code, va, pa, bits, rights)
    }

    /// The linear address of the next instruction and the width of the code.
    #[inline]
    fn fetch_address(&self) -> Result<(VirtAddr, u32), Fault> {
        let rip = self.cpu.rip;
        if self.code64 {
            let va = VirtAddr(rip);
            return if va.is_canonical() {
                Ok((va, 64))
            } else {
                Err(Fault::GP)
            };
        }
        let segment = &self.cpu.seg[Seg::Cs as usize];
        if rip > u64::from(segment.limit) {
            return Err(Fault::GP);
        }
        let va = VirtAddr(segment.base.wrapping_add(rip) & 0xFFFF_FFFF);
        Ok((va, self.cpu.code_bits()))
    }

    #[cold]
    fn decode_into<'c>(
        &mut self,
        code: &'c mut CodeCache,
        va: VirtAddr,
        pa: PhysAddr,
        bits: u32,
        rights: Access,
    ) -> Result<&'c Insn, Fault> {
        let mut bytes = [0xFF; MAX_LENGTH];
        let room = ((PAGE_SIZE - pa.offset()) as usize).min(MAX_LENGTH);
        self.copy_code(pa, &mut bytes[..room]);
        let model = self.cpu.model;
        if let Some(insn) = decode(&bytes[..room], bits, model)? {
            return Ok(self.keep(code, pa, bits, insn));
        }
        let second = self.translate(va.add(room as u64), rights)?;
        self.copy_code(second, &mut bytes[room..]);
        let insn = decode(&bytes, bits, model)?.ok_or(Fault::GP)?;
        Ok(code.crossing.insert(insn))
    }

    /// Copies instruction bytes of one frame; outside RAM all bits are set.
    fn copy_code(&self, pa: PhysAddr, to: &mut [u8]) {
        let start = pa.offset() as usize;
        if let Some(from) = self
            .bus
            .ram
            .page(pa)
            .and_then(|page| page.get(start..start + to.len()))
        {
            to.copy_from_slice(from);
        }
    }

    fn keep<'c>(
        &mut self,
        code: &'c mut CodeCache,
        pa: PhysAddr,
        bits: u32,
        insn: Insn,
    ) -> &'c Insn {
        if !self.bus.ram.contains(pa) {
            return code.crossing.insert(insn);
        }
        let generation = self.bus.ram.keep_code(pa);
        let entry = code.page(pa.frame());
        let stale =
            !matches!(entry, Some(page) if page.generation == generation && page.bits == bits);
        if stale {
            *entry = None;
        }
        let page = entry.get_or_insert_with(|| CodePage {
            generation,
            bits,
            slots: Box::new([0; PAGE_SIZE as usize]),
            insns: Vec::new(),
        });
        page.insns.push(insn);
        page.slots[pa.offset() as usize] = page.insns.len() as u16;
        let last = page.insns.len() - 1;
        &page.insns[last]
    }
}
