//! The host's CPU: a traced child is stopped for good at one place, and each case sets its
//! registers, takes one step and looks.

use std::io;
use std::ptr;

use libc::{c_int, c_long, c_void, pid_t, user_fpregs_struct, user_regs_struct};

use crate::generate::Case;
use crate::state::{CODE, DATA, DATA_LEN, FLAGS, Kind, Outcome, State};

/// A child under ptrace, and the memory that it shares with us.
pub struct Native {
    child: pid_t,
    data: *mut u8,
    code: *mut u8,
    fp: user_fpregs_struct,
}

impl Native {
    /// Starts the child.
    pub fn start() -> io::Result<Native> {
        let data = share(DATA, DATA_LEN)?;
        let code = share(CODE, 4096)?;
        // SAFETY: after fork the child calls only async-signal-safe functions.
        let child = unsafe { libc::fork() };
        match child {
            -1 => return Err(io::Error::last_os_error()),
            // SAFETY: plain system calls in the child, which never returns from here.
            0 => unsafe {
                libc::ptrace(libc::PTRACE_TRACEME, 0, ptr::null_mut::<c_void>(), 0);
                libc::raise(libc::SIGSTOP);
                libc::_exit(0)
            },
            _ => {}
        }
        if stopped(child)? != libc::SIGSTOP {
            return Err(io::Error::other("the child did not stop"));
        }
        // SAFETY: the struct is plain data; all zero is valid.
        let mut fp: user_fpregs_struct = unsafe { std::mem::zeroed() };
        trace(libc::PTRACE_GETFPREGS, child, ptr::from_mut(&mut fp).cast())?;
        Ok(Native {
            child,
            data,
            code,
            fp,
        })
    }

    /// Runs one case.
    pub fn run(&mut self, case: &Case) -> Outcome {
        self.try_run(case).expect("the traced child obeys")
    }

    fn try_run(&mut self, case: &Case) -> io::Result<Outcome> {
        let before = &case.state;
        // SAFETY: both mappings are ours and as long as what is copied; the child is stopped.
        unsafe {
            ptr::copy_nonoverlapping(before.memory.as_ptr(), self.data, DATA_LEN);
            ptr::write_bytes(self.code, 0x90, 4096);
            ptr::copy_nonoverlapping(case.bytes.as_ptr(), self.code, case.bytes.len());
        }
        self.set_registers(before)?;
        let fault = self.step()?;
        let mut state = self.registers()?;
        // SAFETY: as above.
        unsafe { ptr::copy_nonoverlapping(self.data, state.memory.as_mut_ptr(), DATA_LEN) };
        Ok(Outcome { state, fault })
    }

    /// One instruction; the kernel stops a REP instruction after each iteration.
    fn step(&mut self) -> io::Result<Option<Kind>> {
        let mut count = u64::MAX;
        loop {
            trace(libc::PTRACE_SINGLESTEP, self.child, ptr::null_mut())?;
            match stopped(self.child)? {
                libc::SIGTRAP => {}
                libc::SIGFPE => return Ok(Some(Kind::Arithmetic)),
                libc::SIGILL => return Ok(Some(Kind::Illegal)),
                libc::SIGSEGV => return Ok(Some(Kind::Memory)),
                libc::SIGBUS => return Ok(Some(Kind::Alignment)),
                other => return Ok(Some(Kind::Other(other))),
            }
            let regs = self.user_regs()?;
            // A repetition that goes on has counted and stays where it is.
            if regs.rip != CODE || regs.rcx == count {
                return Ok(None);
            }
            count = regs.rcx;
        }
    }

    fn user_regs(&self) -> io::Result<user_regs_struct> {
        // SAFETY: the struct is plain data; all zero is valid.
        let mut regs: user_regs_struct = unsafe { std::mem::zeroed() };
        trace(
            libc::PTRACE_GETREGS,
            self.child,
            ptr::from_mut(&mut regs).cast(),
        )?;
        Ok(regs)
    }

    fn set_registers(&mut self, state: &State) -> io::Result<()> {
        let mut regs = self.user_regs()?;
        for (i, &value) in state.gpr.iter().enumerate() {
            *register(&mut regs, i) = value;
        }
        regs.rip = state.rip;
        regs.eflags = state.rflags;
        regs.fs_base = state.fs_base;
        regs.gs_base = state.gs_base;
        // No system call is to be restarted.
        regs.orig_rax = u64::MAX;
        trace(
            libc::PTRACE_SETREGS,
            self.child,
            ptr::from_mut(&mut regs).cast(),
        )?;
        for (i, &value) in state.xmm.iter().enumerate() {
            for part in 0..4 {
                self.fp.xmm_space[4 * i + part] = (value >> (32 * part)) as u32;
            }
        }
        self.fp.mxcsr = state.mxcsr;
        trace(
            libc::PTRACE_SETFPREGS,
            self.child,
            ptr::from_mut(&mut self.fp).cast(),
        )
    }

    fn registers(&mut self) -> io::Result<State> {
        let mut regs = self.user_regs()?;
        let mut fp = self.fp;
        trace(
            libc::PTRACE_GETFPREGS,
            self.child,
            ptr::from_mut(&mut fp).cast(),
        )?;
        let word = |i: usize| u128::from(fp.xmm_space[i]);
        Ok(State {
            gpr: std::array::from_fn(|i| *register(&mut regs, i)),
            rip: regs.rip,
            rflags: regs.eflags & FLAGS,
            fs_base: regs.fs_base,
            gs_base: regs.gs_base,
            xmm: std::array::from_fn(|i| {
                (0..4).fold(0, |sum, part| sum | word(4 * i + part) << (32 * part))
            }),
            mxcsr: fp.mxcsr,
            memory: vec![0; DATA_LEN],
        })
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        // SAFETY: plain system calls on our own child.
        unsafe {
            libc::kill(self.child, libc::SIGKILL);
            libc::waitpid(self.child, ptr::null_mut(), 0);
        }
    }
}

/// The register of this number in encoding order.
fn register(regs: &mut user_regs_struct, index: usize) -> &mut u64 {
    match index {
        0 => &mut regs.rax,
        1 => &mut regs.rcx,
        2 => &mut regs.rdx,
        3 => &mut regs.rbx,
        4 => &mut regs.rsp,
        5 => &mut regs.rbp,
        6 => &mut regs.rsi,
        7 => &mut regs.rdi,
        8 => &mut regs.r8,
        9 => &mut regs.r9,
        10 => &mut regs.r10,
        11 => &mut regs.r11,
        12 => &mut regs.r12,
        13 => &mut regs.r13,
        14 => &mut regs.r14,
        _ => &mut regs.r15,
    }
}

/// Shared memory at a fixed place; it is an error if something is there already.
fn share(at: u64, len: usize) -> io::Result<*mut u8> {
    let rights = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
    // SAFETY: a new mapping that replaces nothing.
    let place = unsafe { libc::mmap(at as *mut c_void, len, rights, flags, -1, 0) };
    if place == libc::MAP_FAILED || place as u64 != at {
        return Err(io::Error::last_os_error());
    }
    Ok(place.cast())
}

/// Waits until the child stops; the signal.
fn stopped(child: pid_t) -> io::Result<c_int> {
    let mut status = 0;
    // SAFETY: waits for our own child and writes one integer.
    if unsafe { libc::waitpid(child, &mut status, 0) } != child {
        return Err(io::Error::last_os_error());
    }
    match libc::WIFSTOPPED(status) {
        true => Ok(libc::WSTOPSIG(status)),
        false => Err(io::Error::other("the child has died")),
    }
}

fn trace(request: libc::c_uint, child: pid_t, data: *mut c_void) -> io::Result<()> {
    // SAFETY: `data` is null or points at the struct that the request fills or reads.
    let result: c_long = unsafe { libc::ptrace(request, child, ptr::null_mut::<c_void>(), data) };
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
