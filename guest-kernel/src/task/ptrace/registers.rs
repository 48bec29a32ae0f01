//! The registers of a task as its tracer sees them: `struct user_regs_struct`.

use crate::arch::gdt::{USER_CS, USER_SS};
use crate::arch::layout::USER_END;
use crate::arch::trap::{NO_VECTOR, RFLAGS_IF, RFLAGS_TF, RFLAGS_USER, SYSCALL_VECTOR, TrapFrame};
use crate::errno::{Errno, Result};
use crate::mm::user::Plain;

/// How many registers there are.
pub const USER_REGISTERS: usize = 27;

/// `struct user_regs_struct`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
#[allow(missing_docs, reason = "the names are the registers'")]
pub struct UserRegisters {
    pub r15: u64,
    pub r14: u64,
    pub r13: u64,
    pub r12: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub r11: u64,
    pub r10: u64,
    pub r9: u64,
    pub r8: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    /// The number of the system call that the task is in; -1 if in none.
    pub orig_rax: u64,
    pub rip: u64,
    pub cs: u64,
    pub rflags: u64,
    pub rsp: u64,
    pub ss: u64,
    pub fs_base: u64,
    pub gs_base: u64,
    pub ds: u64,
    pub es: u64,
    pub fs: u64,
    pub gs: u64,
}

// SAFETY: numbers side by side, without padding.
unsafe impl Plain for UserRegisters {}

const _: () = assert!(size_of::<UserRegisters>() == USER_REGISTERS * 8);

impl UserRegisters {
    /// The registers in a task's frame; `stepping` if the trap flag in it is
    /// the tracer's.
    pub(super) fn of(frame: &TrapFrame, (fs_base, gs_base): (u64, u64), stepping: bool) -> Self {
        let in_call = frame.vector == SYSCALL_VECTOR;
        UserRegisters {
            r15: frame.r15,
            r14: frame.r14,
            r13: frame.r13,
            r12: frame.r12,
            rbp: frame.rbp,
            rbx: frame.rbx,
            r11: frame.r11,
            r10: frame.r10,
            r9: frame.r9,
            r8: frame.r8,
            rax: frame.rax,
            rcx: frame.rcx,
            rdx: frame.rdx,
            rsi: frame.rsi,
            rdi: frame.rdi,
            orig_rax: if in_call { frame.error } else { u64::MAX },
            rip: frame.rip,
            cs: frame.cs,
            rflags: if stepping {
                frame.rflags & !RFLAGS_TF
            } else {
                frame.rflags
            },
            rsp: frame.rsp,
            ss: frame.ss,
            fs_base,
            gs_base,
            ..UserRegisters::default()
        }
    }

    /// Puts them into a task's frame. What a program may not choose keeps its
    /// value.
    ///
    /// # Errors
    /// `EIO` for segments that are not the user's, and addresses that are not.
    pub(super) fn put(&self, frame: &mut TrapFrame) -> Result<()> {
        let segments = self.cs == u64::from(USER_CS) && self.ss == u64::from(USER_SS);
        let bases = self.fs_base < USER_END && self.gs_base < USER_END;
        // The way back to user mode would fault in the kernel.
        let addresses = self.rip < USER_END;
        if !segments || !bases || !addresses {
            return Err(Errno::EIO);
        }
        let leaves_call = (self.orig_rax as i32) < 0;
        let in_call = frame.vector == SYSCALL_VECTOR;
        *frame = TrapFrame {
            r15: self.r15,
            r14: self.r14,
            r13: self.r13,
            r12: self.r12,
            rbp: self.rbp,
            rbx: self.rbx,
            r11: self.r11,
            r10: self.r10,
            r9: self.r9,
            r8: self.r8,
            rax: self.rax,
            rcx: self.rcx,
            rdx: self.rdx,
            rsi: self.rsi,
            rdi: self.rdi,
            vector: if in_call && leaves_call {
                NO_VECTOR
            } else {
                frame.vector
            },
            error: if in_call { self.orig_rax } else { frame.error },
            rip: self.rip,
            cs: frame.cs,
            rflags: self.rflags & RFLAGS_USER | frame.rflags & !RFLAGS_USER | RFLAGS_IF,
            rsp: self.rsp,
            ss: frame.ss,
        };
        Ok(())
    }

    /// The register at a place in the structure.
    pub(super) fn get(&self, index: usize) -> u64 {
        let bytes = crate::mm::user::bytes_of(self);
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[index * 8..index * 8 + 8]);
        u64::from_le_bytes(word)
    }

    /// With another value of the register at a place in the structure.
    #[must_use]
    pub fn with_bytes(&self, at: usize, bytes: &[u8]) -> Self {
        let mut all = [0; USER_REGISTERS * 8];
        all.copy_from_slice(crate::mm::user::bytes_of(self));
        let end = (at + bytes.len()).min(all.len());
        all[at..end].copy_from_slice(&bytes[..end - at]);
        let word = |index: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&all[index * 8..index * 8 + 8]);
            u64::from_le_bytes(word)
        };
        let [r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8] = core::array::from_fn(word);
        let [rax, rcx, rdx, rsi, rdi, orig_rax, rip, cs, rflags] =
            core::array::from_fn(|index| word(10 + index));
        let [rsp, ss, fs_base, gs_base, ds, es, fs, gs] =
            core::array::from_fn(|index| word(19 + index));
        UserRegisters {
            r15,
            r14,
            r13,
            r12,
            rbp,
            rbx,
            r11,
            r10,
            r9,
            r8,
            rax,
            rcx,
            rdx,
            rsi,
            rdi,
            orig_rax,
            rip,
            cs,
            rflags,
            rsp,
            ss,
            fs_base,
            gs_base,
            ds,
            es,
            fs,
            gs,
        }
    }
}
