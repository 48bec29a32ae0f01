//! The probe: tracepoints and choices (see `abi::probe`).
//!
//! Where no probe is announced nothing is emitted and every choice takes its
//! default.

use core::arch::{asm, x86_64::__cpuid};
use core::sync::atomic::{AtomicBool, Ordering};

use abi::choice::ChoiceKind;
use abi::event::Emit;
use abi::probe::{CPUID_LEAF, PORT, SIGNATURE};

static PRESENT: AtomicBool = AtomicBool::new(false);

/// Looks whether the machine has a probe. Called once, at boot.
pub fn init() {
    let leaf = __cpuid(CPUID_LEAF);
    let mut signature = [0; 12];
    for (bytes, word) in signature
        .chunks_exact_mut(4)
        .zip([leaf.ebx, leaf.ecx, leaf.edx])
    {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    PRESENT.store(signature == SIGNATURE, Ordering::Relaxed);
}

fn present() -> bool {
    PRESENT.load(Ordering::Relaxed)
}

/// Emits an event.
pub fn emit<E: Emit>(event: &E) {
    if !present() {
        return;
    }
    let [a0, a1, a2, a3, a4] = event.args();
    // SAFETY: the port was announced by CPUID; writing it changes no memory.
    unsafe {
        asm!("out dx, eax", in("dx") PORT, in("eax") E::ID as u32,
             in("rdi") a0, in("rsi") a1, in("r8") a2, in("r9") a3, in("r10") a4,
             options(nostack, preserves_flags));
    }
}

/// Asks for one of `n` answers; `candidates`, if any, are the task ids that
/// they stand for. An answer out of range is the default.
#[must_use]
pub fn choose(kind: ChoiceKind, n: u32, default: u32, candidates: &[u32]) -> u32 {
    if !present() {
        return default;
    }
    let list = if candidates.is_empty() {
        0
    } else {
        debug_assert_eq!(candidates.len(), n as usize);
        candidates.as_ptr() as u64
    };
    let answer: u32;
    // SAFETY: as above; the list outlives the instruction.
    unsafe {
        asm!("in eax, dx", in("dx") PORT, inlateout("eax") kind as u32 => answer,
             in("rdi") u64::from(n), in("rsi") u64::from(default), in("r8") list,
             options(nostack, preserves_flags));
    }
    if answer < n { answer } else { default }
}
