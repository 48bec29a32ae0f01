//! The x87 and SSE state of a user task, saved and loaded at every switch.

use core::arch::asm;

/// What FXSAVE writes.
#[repr(C, align(16))]
#[derive(Clone)]
pub struct FpuState(pub [u8; 512]);

/// MXCSR bits that exist everywhere.
const MXCSR_MASK: u32 = 0xFFBF;

impl FpuState {
    /// The state in which a program starts: all exceptions masked, x87 at
    /// 64-bit precision, everything else zero.
    #[must_use]
    pub const fn new() -> Self {
        let mut bytes = [0; 512];
        bytes[0] = 0x7F;
        bytes[1] = 0x03;
        bytes[24] = 0x80;
        bytes[25] = 0x1F;
        FpuState(bytes)
    }

    /// Takes the CPU's state.
    pub fn save(&mut self) {
        // SAFETY: the buffer is 512 bytes, aligned by 16.
        unsafe {
            asm!("fxsave64 [{}]", in(reg) self.0.as_mut_ptr(), options(nostack, preserves_flags))
        };
    }

    /// Gives the CPU this state.
    pub fn load(&self) {
        // SAFETY: as in `save`; `sanitize` and FXSAVE leave no reserved bit.
        unsafe {
            asm!("fxrstor64 [{}]", in(reg) self.0.as_ptr(), options(nostack, preserves_flags))
        };
    }

    /// Clears what a user may have forged and FXRSTOR would fault on.
    pub fn sanitize(&mut self) {
        let mut mxcsr = [0; 4];
        mxcsr.copy_from_slice(&self.0[24..28]);
        let clean = u32::from_le_bytes(mxcsr) & MXCSR_MASK;
        self.0[24..28].copy_from_slice(&clean.to_le_bytes());
    }
}
