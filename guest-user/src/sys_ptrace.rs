//! One task watches another: `ptrace`, and reading and writing its memory.

use linux_raw_sys::general::{__NR_process_vm_readv, __NR_process_vm_writev, __NR_ptrace};

use crate::errno::Result;
use crate::sys::call;
use crate::sys_signal::SigInfo;

pub use linux_raw_sys::ptrace::{
    PTRACE_ATTACH, PTRACE_CONT, PTRACE_DETACH, PTRACE_EVENT_CLONE, PTRACE_EVENT_EXEC,
    PTRACE_EVENT_EXIT, PTRACE_EVENT_FORK, PTRACE_EVENT_STOP, PTRACE_EVENT_VFORK,
    PTRACE_EVENT_VFORK_DONE, PTRACE_GETEVENTMSG, PTRACE_GETFPREGS, PTRACE_GETREGS,
    PTRACE_GETREGSET, PTRACE_GETSIGINFO, PTRACE_GETSIGMASK, PTRACE_INTERRUPT, PTRACE_KILL,
    PTRACE_LISTEN, PTRACE_O_EXITKILL, PTRACE_O_TRACECLONE, PTRACE_O_TRACEEXEC, PTRACE_O_TRACEEXIT,
    PTRACE_O_TRACEFORK, PTRACE_O_TRACESYSGOOD, PTRACE_O_TRACEVFORK, PTRACE_O_TRACEVFORKDONE,
    PTRACE_PEEKDATA, PTRACE_PEEKTEXT, PTRACE_PEEKUSR, PTRACE_POKEDATA, PTRACE_POKETEXT,
    PTRACE_POKEUSR, PTRACE_SEIZE, PTRACE_SETFPREGS, PTRACE_SETOPTIONS, PTRACE_SETREGS,
    PTRACE_SETSIGINFO, PTRACE_SETSIGMASK, PTRACE_SINGLESTEP, PTRACE_SYSCALL, PTRACE_TRACEME,
};

/// `struct user_regs_struct`.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are the registers'")]
pub struct Registers {
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

/// `ptrace` with numbers.
///
/// # Errors
/// As ptrace(2).
pub fn ptrace(request: u32, pid: i32, address: usize, data: usize) -> Result<()> {
    let args = [request as usize, pid as usize, address, data, 0, 0];
    // SAFETY: callers pass requests that read and write no memory of ours.
    unsafe { call(__NR_ptrace, args) }.map(drop)
}

/// `ptrace` that fills a value.
///
/// # Errors
/// As ptrace(2).
///
/// # Safety
/// The request writes at most a `T`, of which every bit pattern is a value.
pub unsafe fn get<T: Copy>(request: u32, pid: i32, address: usize, value: &mut T) -> Result<()> {
    let at: *mut T = value;
    let args = [request as usize, pid as usize, address, at as usize, 0, 0];
    // SAFETY: by the caller.
    unsafe { call(__NR_ptrace, args) }.map(drop)
}

/// `ptrace` that takes a value.
///
/// # Errors
/// As ptrace(2).
pub fn put<T: Copy>(request: u32, pid: i32, address: usize, value: &T) -> Result<()> {
    let at: *const T = value;
    let args = [request as usize, pid as usize, address, at as usize, 0, 0];
    // SAFETY: such requests read no more than a `T`.
    unsafe { call(__NR_ptrace, args) }.map(drop)
}

/// The registers.
///
/// # Errors
/// As ptrace(2).
pub fn registers(pid: i32) -> Result<Registers> {
    let mut registers = Registers::default();
    // SAFETY: the kernel writes one set of registers.
    unsafe { get(PTRACE_GETREGS, pid, 0, &mut registers) }?;
    Ok(registers)
}

/// A word of memory.
///
/// # Errors
/// As ptrace(2).
pub fn peek(pid: i32, address: usize) -> Result<u64> {
    let mut word = 0_u64;
    // SAFETY: the kernel writes one word.
    unsafe { get(PTRACE_PEEKDATA, pid, address, &mut word) }?;
    Ok(word)
}

/// What the last event is about.
///
/// # Errors
/// As ptrace(2).
pub fn message(pid: i32) -> Result<u64> {
    let mut word = 0_u64;
    // SAFETY: the kernel writes one word.
    unsafe { get(PTRACE_GETEVENTMSG, pid, 0, &mut word) }?;
    Ok(word)
}

/// What came with the signal that the task stopped for.
///
/// # Errors
/// As ptrace(2).
pub fn info(pid: i32) -> Result<SigInfo> {
    let mut info = SigInfo::EMPTY;
    // SAFETY: the kernel writes one siginfo.
    unsafe { get(PTRACE_GETSIGINFO, pid, 0, &mut info) }?;
    Ok(info)
}

/// `process_vm_readv` (or writev) of one range on each side.
///
/// # Errors
/// As process_vm_readv(2).
pub fn move_memory(pid: i32, write: bool, here: &mut [u8], there: usize) -> Result<usize> {
    let local = [here.as_mut_ptr() as usize, here.len()];
    let remote = [there, here.len()];
    let nr = if write {
        __NR_process_vm_writev
    } else {
        __NR_process_vm_readv
    };
    let args = [
        pid as usize,
        &raw const local as usize,
        1,
        &raw const remote as usize,
        1,
        0,
    ];
    // SAFETY: the kernel reads or writes the slice and no more of ours.
    unsafe { call(nr, args) }
}
