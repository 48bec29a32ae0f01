//! The host's CPU: a child runs batches of cases on itself.
//!
//! A case is entered by returning from a signal handler whose saved context is the case's state
//! with the trap flag set; after one instruction (or its fault) the next signal brings the outcome
//! in its saved context, and leaves with the next case. So a batch costs two switches between
//! processes, and each case two crossings into the host's kernel.

use std::io;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use libc::{c_int, c_void, pid_t, siginfo_t, ucontext_t};

use crate::generate::Case;
use crate::state::{CODE, DATA, DATA_LEN, FLAGS, GS_BASE, Kind, Outcome, State};

/// Cases that are handed over at once.
pub const BATCH: usize = 64;

/// One case on its way there and back.
#[repr(C)]
struct Slot {
    gpr: [u64; 16],
    rip: u64,
    rflags: u64,
    code: [u8; 16],
    signal: c_int,
    memory: [u8; DATA_LEN],
}

/// The child, and the memory that it shares with us.
pub struct Native {
    child: pid_t,
    slots: *mut Slot,
    /// Where we write to and read from.
    pipe: (c_int, c_int),
}

impl Native {
    /// Starts the child.
    pub fn start() -> io::Result<Native> {
        let len = BATCH * mem::size_of::<Slot>();
        let slots = map(0, len, libc::MAP_SHARED, libc::PROT_READ | libc::PROT_WRITE)?.cast();
        let (there, back) = (pipe()?, pipe()?);
        // SAFETY: the child calls only `serve`, which is made of system calls.
        let child = unsafe { libc::fork() };
        match child {
            -1 => return Err(io::Error::last_os_error()),
            0 => serve(slots, there.0, back.1),
            _ => {}
        }
        // SAFETY: our own descriptors. With the child's ends closed its death ends our reads.
        unsafe {
            libc::close(there.0);
            libc::close(back.1);
        }
        let native = Native {
            child,
            slots,
            pipe: (there.1, back.0),
        };
        native.wait()?;
        Ok(native)
    }

    /// Runs up to [`BATCH`] cases.
    pub fn run(&mut self, cases: &[Case]) -> Vec<Outcome> {
        assert!(cases.len() <= BATCH);
        for (i, case) in cases.iter().enumerate() {
            // SAFETY: there are BATCH slots, and the child waits for us.
            unsafe { put(&mut *self.slots.add(i), case) };
        }
        let count = cases.len() as u8;
        // SAFETY: writes one byte from a local.
        let sent = unsafe { libc::write(self.pipe.0, ptr::from_ref(&count).cast(), 1) };
        assert!(
            sent == 1 && self.wait().is_ok(),
            "the child died of one of these cases"
        );
        // SAFETY: as above; the child waits again.
        (0..cases.len())
            .map(|i| outcome(unsafe { &*self.slots.add(i) }))
            .collect()
    }

    fn wait(&self) -> io::Result<()> {
        let mut byte = 0_u8;
        // SAFETY: reads one byte into a local.
        match unsafe { libc::read(self.pipe.1, ptr::from_mut(&mut byte).cast(), 1) } {
            1 => Ok(()),
            _ => Err(io::Error::other("the child has died")),
        }
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

fn put(slot: &mut Slot, case: &Case) {
    slot.gpr = case.state.gpr;
    slot.rip = case.state.rip;
    slot.rflags = case.state.rflags;
    slot.code = [0x90; 16];
    slot.code[..case.bytes.len()].copy_from_slice(&case.bytes);
    slot.memory.copy_from_slice(&case.state.memory);
}

fn outcome(slot: &Slot) -> Outcome {
    let state = State {
        gpr: slot.gpr,
        rip: slot.rip,
        rflags: slot.rflags & FLAGS,
        memory: slot.memory.to_vec(),
    };
    let fault = match slot.signal {
        libc::SIGTRAP => None,
        libc::SIGFPE => Some(Kind::Arithmetic),
        libc::SIGILL => Some(Kind::Illegal),
        libc::SIGSEGV => Some(Kind::Memory),
        libc::SIGBUS => Some(Kind::Alignment),
        other => Some(Kind::Other(other)),
    };
    Outcome { state, fault }
}

fn map(at: u64, len: usize, flags: c_int, rights: c_int) -> io::Result<*mut c_void> {
    let fixed = if at == 0 {
        0
    } else {
        libc::MAP_FIXED_NOREPLACE
    };
    let flags = flags | fixed | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping that replaces nothing.
    let place = unsafe { libc::mmap(at as *mut c_void, len, rights, flags, -1, 0) };
    if place == libc::MAP_FAILED || at != 0 && place as u64 != at {
        return Err(io::Error::last_os_error());
    }
    Ok(place)
}

fn pipe() -> io::Result<(c_int, c_int)> {
    let mut ends = [0; 2];
    // SAFETY: fills an array of two.
    match unsafe { libc::pipe(ends.as_mut_ptr()) } {
        0 => Ok((ends[0], ends[1])),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The child's slots, the number of the case that is running, and how many there are.
static SLOTS: AtomicPtr<Slot> = AtomicPtr::new(ptr::null_mut());
static CURRENT: AtomicUsize = AtomicUsize::new(0);
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// rcx when the current instruction was last seen at its place.
static LAST_COUNT: AtomicUsize = AtomicUsize::new(0);

/// The context to go back to after the batch.
static HOME: AtomicPtr<libc::mcontext_t> = AtomicPtr::new(ptr::null_mut());

const TRAP_FLAG: u64 = 0x100;

/// The child: says that it is ready, then runs batches until we close the pipe.
fn serve(slots: *mut Slot, from: c_int, to: c_int) -> ! {
    SLOTS.store(slots, Ordering::Relaxed);
    let ready = prepare().is_ok();
    let mut count = 0_u8;
    // SAFETY: system calls on our own descriptors and a local; `raise` enters the handler, which
    // comes back here when the batch is done.
    unsafe {
        while ready
            && libc::write(to, ptr::from_ref(&count).cast(), 1) == 1
            && libc::read(from, ptr::from_mut(&mut count).cast(), 1) == 1
        {
            COUNT.store(usize::from(count), Ordering::Relaxed);
            CURRENT.store(0, Ordering::Relaxed);
            libc::raise(libc::SIGUSR1);
        }
        libc::_exit(0)
    }
}

/// Maps code and data, and installs the handler on a stack of its own.
fn prepare() -> io::Result<()> {
    const ARCH_SET_GS: c_int = 0x1001;
    let all = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    map(DATA, DATA_LEN, libc::MAP_PRIVATE, all)?;
    map(CODE, 4096, libc::MAP_PRIVATE, all)?;
    let size = 64 << 10;
    let stack = map(
        0,
        size,
        libc::MAP_PRIVATE,
        libc::PROT_READ | libc::PROT_WRITE,
    )?;
    let home = map(
        0,
        4096,
        libc::MAP_PRIVATE,
        libc::PROT_READ | libc::PROT_WRITE,
    )?;
    HOME.store(home.cast(), Ordering::Relaxed);
    // SAFETY: the stack is mapped and nobody else's; the handler has the signature that
    // SA_SIGINFO asks for; nothing in this process uses GS.
    unsafe {
        let alternative = libc::stack_t {
            ss_sp: stack,
            ss_flags: 0,
            ss_size: size,
        };
        libc::sigaltstack(&alternative, ptr::null_mut());
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        for signal in [
            libc::SIGUSR1,
            libc::SIGTRAP,
            libc::SIGFPE,
            libc::SIGILL,
            libc::SIGSEGV,
            libc::SIGBUS,
        ] {
            libc::sigaction(signal, &action, ptr::null_mut());
        }
        libc::syscall(libc::SYS_arch_prctl, ARCH_SET_GS, GS_BASE);
    }
    Ok(())
}

/// Where each register, in encoding order, is kept in a signal's context.
const PLACES: [c_int; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

extern "C" fn handler(signal: c_int, _info: *mut siginfo_t, context: *mut ucontext_t) {
    // SAFETY: the kernel gives a context; slots, data and code are mapped; HOME is written by the
    // first signal of a batch before the last one reads it. Only one thread exists.
    unsafe {
        let registers = &mut (*context).uc_mcontext;
        let home = HOME.load(Ordering::Relaxed);
        let index = CURRENT.load(Ordering::Relaxed);
        if signal == libc::SIGUSR1 {
            ptr::copy_nonoverlapping(registers, home, 1);
            return enter(registers, index);
        }
        let rip = registers.gregs[libc::REG_RIP as usize] as u64;
        let count = registers.gregs[libc::REG_RCX as usize] as usize;
        // A repetition that goes on has counted and stays where it is.
        let again = signal == libc::SIGTRAP && rip == CODE;
        if again && LAST_COUNT.swap(count, Ordering::Relaxed) != count {
            return;
        }
        leave(registers, index, signal);
        let next = index + 1;
        CURRENT.store(next, Ordering::Relaxed);
        if next < COUNT.load(Ordering::Relaxed) {
            return enter(registers, next);
        }
        registers.gregs = (*home).gregs;
    }
}

/// Makes the saved context that of a case.
///
/// # Safety
/// The slots, the data and the code must be mapped, and the slot be one of this batch.
unsafe fn enter(registers: &mut libc::mcontext_t, index: usize) {
    // SAFETY: as the caller promises.
    let slot = unsafe { &*SLOTS.load(Ordering::Relaxed).add(index) };
    // SAFETY: as the caller promises; the slot's arrays are as long as what is copied.
    unsafe {
        ptr::copy_nonoverlapping(slot.code.as_ptr(), CODE as *mut u8, slot.code.len());
        ptr::copy_nonoverlapping(slot.memory.as_ptr(), DATA as *mut u8, DATA_LEN);
    }
    for (place, value) in PLACES.iter().zip(slot.gpr) {
        registers.gregs[*place as usize] = value as i64;
    }
    registers.gregs[libc::REG_RIP as usize] = slot.rip as i64;
    registers.gregs[libc::REG_EFL as usize] = (slot.rflags | TRAP_FLAG) as i64;
    LAST_COUNT.store(slot.gpr[1] as usize, Ordering::Relaxed);
}

/// Writes a case's outcome into its slot.
///
/// # Safety
/// As for [`enter`].
unsafe fn leave(registers: &libc::mcontext_t, index: usize, signal: c_int) {
    // SAFETY: as the caller promises; the parent waits.
    let slot = unsafe { &mut *SLOTS.load(Ordering::Relaxed).add(index) };
    for (place, value) in PLACES.iter().zip(&mut slot.gpr) {
        *value = registers.gregs[*place as usize] as u64;
    }
    slot.rip = registers.gregs[libc::REG_RIP as usize] as u64;
    slot.rflags = registers.gregs[libc::REG_EFL as usize] as u64;
    slot.signal = signal;
    // SAFETY: as the caller promises.
    unsafe { ptr::copy_nonoverlapping(DATA as *const u8, slot.memory.as_mut_ptr(), DATA_LEN) };
}
