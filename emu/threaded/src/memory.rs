//! Memory that is known to be there.

use machine::addr::{PAGE_SIZE, PhysAddr, VirtAddr};
use machine::cpu::Cx;
use machine::cpu::state::flag;

/// Reads `W` bytes if that is known to pass, to cost nothing but the access, and to change nothing.
#[inline(always)]
pub(crate) fn read<const W: usize>(cx: &Cx<'_>, va: u64) -> Option<u64> {
    let va = VirtAddr(va);
    if va.offset() + W as u64 > PAGE_SIZE || cx.cpu.rflags & flag::AC != 0 {
        return None;
    }
    let pa: PhysAddr = cx.mmu.known(va, cx.rights(false))?;
    cx.bus.ram.read(pa, W)
}

/// Writes `W` bytes if that is known to pass, to cost nothing but the access, and to change nothing
/// else.
#[inline(always)]
pub(crate) fn write<const W: usize>(_cx: &mut Cx<'_>, _va: u64, _value: u64) -> Option<()> {
    None
}
