//! The x87, SSE and AVX state of a user task, saved and loaded at every
//! switch: with XSAVE where the CPU has it, otherwise with FXSAVE.

use alloc::boxed::Box;
use alloc::vec;
use core::arch::asm;
use core::arch::x86_64::{__cpuid, __cpuid_count};
use core::sync::atomic::{AtomicUsize, Ordering};

/// What FXSAVE writes, and XSAVE first.
pub const LEGACY_SIZE: usize = 512;

/// The part of XSAVE's header (volume 1, 13.4.2) that has to be zero behind
/// XSTATE_BV: XCOMP_BV and eight reserved bytes. The others are not looked at.
const ZERO_AT: usize = LEGACY_SIZE + 8;
const ZERO_END: usize = LEGACY_SIZE + 24;

/// Where XSAVE's area begins is a multiple of this; FXSAVE's of 16.
const XSAVE_ALIGN: usize = 64;

/// MXCSR bits that exist everywhere.
const MXCSR_MASK: u32 = 0xFFBF;

/// State components: bits of XCR0 and XSTATE_BV.
pub const X87: u64 = 1;
pub const SSE: u64 = 2;
pub const AVX: u64 = 4;

const CR4_OSXSAVE: u64 = 1 << 18;
const CPUID_XSAVE: u32 = 1 << 26;
const CPUID_XSTATE: u32 = 0xD;

/// Bytes of a task's state; more than [`LEGACY_SIZE`] if XSAVE writes it.
static SIZE: AtomicUsize = AtomicUsize::new(LEGACY_SIZE);

/// Switches XSAVE and what it can save of AVX on, if the CPU has it.
///
/// # Safety
/// Once for each CPU, before a task has a state.
pub unsafe fn init() {
    if __cpuid(1).ecx & CPUID_XSAVE == 0 {
        return;
    }
    let features = u64::from(__cpuid_count(CPUID_XSTATE, 0).eax) & (X87 | SSE | AVX);
    // SAFETY: CPUID announces XSAVE and these components.
    unsafe {
        let cr4: u64;
        asm!("mov {}, cr4", out(reg) cr4, options(nomem, nostack, preserves_flags));
        asm!("mov cr4, {}", in(reg) cr4 | CR4_OSXSAVE, options(nostack, preserves_flags));
        asm!("xsetbv", in("ecx") 0, in("eax") features as u32, in("edx") 0, options(nostack, preserves_flags));
    }
    // What the components that are switched on now need.
    let size = __cpuid_count(CPUID_XSTATE, 0).ebx;
    SIZE.store(size as usize, Ordering::Relaxed);
}

/// Bytes of a task's state in XSAVE's (or FXSAVE's) layout.
#[must_use]
pub fn size() -> usize {
    SIZE.load(Ordering::Relaxed)
}

/// Whether states are XSAVE's.
#[must_use]
pub fn has_xsave() -> bool {
    size() > LEGACY_SIZE
}

/// The components that are switched on.
#[must_use]
pub fn features() -> u64 {
    if !has_xsave() {
        return X87 | SSE;
    }
    let (low, high): (u32, u32);
    // SAFETY: `init` has switched XSAVE on.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// A task's state, in memory of its own: in lines of 16 bytes, which is how
/// FXSAVE wants it aligned.
pub struct FpuState(Box<[u128]>);

impl FpuState {
    /// The state in which a program starts: all exceptions masked, x87 at
    /// 64-bit precision, everything else zero.
    #[must_use]
    pub fn new() -> Self {
        let mut state = FpuState::zeros();
        state.start_values();
        state
    }

    fn zeros() -> Self {
        // What the lines are not aligned to 64 is left out in front.
        let spare = if has_xsave() { XSAVE_ALIGN - 16 } else { 0 };
        let lines = (size() + spare).div_ceil(size_of::<u128>());
        FpuState(vec![0; lines].into_boxed_slice())
    }

    /// Makes it the state in which a program starts.
    pub fn reset(&mut self) {
        self.bytes_mut().fill(0);
        self.start_values();
    }

    /// What is not zero when a program starts.
    fn start_values(&mut self) {
        let bytes = self.bytes_mut();
        bytes[0..2].copy_from_slice(&0x037F_u16.to_le_bytes());
        bytes[24..28].copy_from_slice(&0x1F80_u32.to_le_bytes());
        self.set_components(X87 | SSE);
    }

    /// Makes it equal to another one.
    pub fn copy_from(&mut self, other: &FpuState) {
        self.bytes_mut().copy_from_slice(other.bytes());
    }

    /// Where the area begins in the memory.
    fn start(&self) -> usize {
        if has_xsave() {
            self.0.as_ptr().align_offset(XSAVE_ALIGN)
        } else {
            0
        }
    }

    /// The area as XSAVE or FXSAVE writes it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let lines = &self.0[self.start()..];
        // SAFETY: lines are bytes, and `zeros` made enough.
        unsafe { core::slice::from_raw_parts(lines.as_ptr().cast(), size()) }
    }

    /// The area, to be changed. What a user wrote there needs
    /// [`FpuState::sanitize`].
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let start = self.start();
        let lines = &mut self.0[start..];
        // SAFETY: lines are bytes, and `zeros` made enough.
        unsafe { core::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), size()) }
    }

    /// The part that FXSAVE has, too.
    #[must_use]
    pub fn legacy(&self) -> &[u8] {
        &self.bytes()[..LEGACY_SIZE]
    }

    /// Takes the CPU's state.
    pub fn save(&mut self) {
        let area = self.bytes_mut().as_mut_ptr();
        // SAFETY: the area has the size and alignment that the CPU asks for.
        unsafe {
            if has_xsave() {
                asm!("xsave64 [{}]", in(reg) area, in("eax") -1, in("edx") -1, options(nostack, preserves_flags));
            } else {
                asm!("fxsave64 [{}]", in(reg) area, options(nostack, preserves_flags));
            }
        }
    }

    /// Gives the CPU this state.
    pub fn load(&self) {
        let area = self.bytes().as_ptr();
        // SAFETY: as in `save`; `sanitize` and the CPU leave no reserved bit.
        unsafe {
            if has_xsave() {
                asm!("xrstor64 [{}]", in(reg) area, in("eax") -1, in("edx") -1, options(nostack, preserves_flags));
            } else {
                asm!("fxrstor64 [{}]", in(reg) area, options(nostack, preserves_flags));
            }
        }
    }

    /// The components that are not in their first state: XSTATE_BV.
    #[must_use]
    pub fn components(&self) -> u64 {
        if !has_xsave() {
            return X87 | SSE;
        }
        let mut mask = [0; 8];
        mask.copy_from_slice(&self.bytes()[LEGACY_SIZE..LEGACY_SIZE + 8]);
        u64::from_le_bytes(mask)
    }

    /// Says which components are to be loaded; the others get their first
    /// state.
    pub fn set_components(&mut self, mask: u64) {
        if has_xsave() {
            self.bytes_mut()[LEGACY_SIZE..LEGACY_SIZE + 8].copy_from_slice(&mask.to_le_bytes());
        }
    }

    /// Whether the header behind the legacy area is one that XRSTOR takes.
    #[must_use]
    pub fn has_valid_header(&self) -> bool {
        if !has_xsave() {
            return true;
        }
        let zeros = &self.bytes()[ZERO_AT..ZERO_END];
        self.components() & !features() == 0 && zeros.iter().all(|&byte| byte == 0)
    }

    /// Clears what a user may have forged in the legacy area and the CPU would
    /// fault on.
    pub fn sanitize(&mut self) {
        let mxcsr = &mut self.bytes_mut()[24..28];
        for (byte, allowed) in mxcsr.iter_mut().zip(MXCSR_MASK.to_le_bytes()) {
            *byte &= allowed;
        }
    }
}

impl Clone for FpuState {
    fn clone(&self) -> Self {
        let mut copy = FpuState::zeros();
        copy.copy_from(self);
        copy
    }
}

impl Default for FpuState {
    fn default() -> Self {
        FpuState::new()
    }
}
