//! The child's side: the signal handler that runs one case after the other.

use std::arch::{asm, global_asm};
use std::io;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use libc::{c_int, c_void, siginfo_t, ucontext_t};

use crate::native::{BATCH, DONE, Slot, map};
use crate::state::{CODE, DATA, DATA_LEN, FLAGS, READ_ONLY, place};

/// What parent and child share.
#[repr(C)]
pub struct Shared {
    /// The case that runs, and where the batch ends.
    pub current: AtomicUsize,
    pub end: AtomicUsize,
    pub slots: [Slot; BATCH],
}

static SHARED: AtomicPtr<Shared> = AtomicPtr::new(ptr::null_mut());
/// rcx when the current instruction was last seen at its place.
static LAST_COUNT: AtomicUsize = AtomicUsize::new(0);
/// The context to go back to after the batch.
static HOME: AtomicPtr<libc::mcontext_t> = AtomicPtr::new(ptr::null_mut());
/// FS's base when no case runs.
static HOME_FS: AtomicUsize = AtomicUsize::new(0);

const TRAP_FLAG: u64 = 0x100;
/// Bits of XSTATE_BV: x87, SSE, AVX; and where a signal's frame has them.
const X87_SSE_AVX: u64 = 7;
const SOFTWARE: usize = 464;
const XSTATE_BV: usize = 512;
const YMM_HIGH: usize = 576;
/// "FP_XSTATE_MAGIC1": the frame goes on behind the 512 bytes of FXSAVE.
const MAGIC: u32 = 0x4650_5853;

/// Says that it is ready, then runs batches until the parent closes the pipe.
pub fn serve(shared: *mut Shared, from: c_int, to: c_int) -> ! {
    SHARED.store(shared, Ordering::Relaxed);
    let ready = prepare().is_ok();
    let mut byte = 0_u8;
    // SAFETY: system calls on our own descriptors and a local; `raise` enters the handler, which
    // comes back here when the batch is done.
    unsafe {
        while ready
            && libc::write(to, ptr::from_ref(&byte).cast(), 1) == 1
            && libc::read(from, ptr::from_mut(&mut byte).cast(), 1) == 1
        {
            libc::raise(libc::SIGUSR1);
        }
        libc::_exit(0)
    }
}

/// Maps code and data, and installs the handler on a stack of its own.
fn prepare() -> io::Result<()> {
    const HWCAP2_FSGSBASE: u64 = 2;
    let rights = libc::PROT_READ | libc::PROT_WRITE;
    let data = map(DATA, DATA_LEN, libc::MAP_PRIVATE, rights)?;
    map(CODE, 4096, libc::MAP_PRIVATE, rights | libc::PROT_EXEC)?;
    let size = 256 << 10;
    let stack = map(0, size, libc::MAP_PRIVATE, rights)?;
    let home = map(0, 4096, libc::MAP_PRIVATE, rights)?;
    HOME.store(home.cast(), Ordering::Relaxed);
    // SAFETY: the stack is mapped and nobody else's; the handler has the signature that
    // SA_SIGINFO asks for; the page belongs to the data.
    unsafe {
        if libc::getauxval(libc::AT_HWCAP2) & HWCAP2_FSGSBASE == 0 {
            return Err(io::ErrorKind::Unsupported.into());
        }
        libc::mprotect(
            data.byte_add(READ_ONLY),
            DATA_LEN - READ_ONLY,
            libc::PROT_READ,
        );
        let alternative = libc::stack_t {
            ss_sp: stack,
            ss_flags: 0,
            ss_size: size,
        };
        libc::sigaltstack(&alternative, ptr::null_mut());
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = host_cpu_signal as *const () as usize;
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
    }
    Ok(())
}

// AC, NT and ID outlive the way into a handler; compiled code minds the first of them.
global_asm!(
    "host_cpu_signal:",
    "pushfq",
    "and qword ptr [rsp], -0x244001",
    "popfq",
    "jmp {handler}",
    handler = sym handler,
);

unsafe extern "C" {
    fn host_cpu_signal();
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

extern "C" fn handler(signal: c_int, _info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel gives a context; slots, data and code are mapped; HOME is written by the
    // first signal of a batch before the last one reads it. Only one thread exists.
    unsafe {
        let registers = &mut (*context.cast::<ucontext_t>()).uc_mcontext;
        let shared = &mut *SHARED.load(Ordering::Relaxed);
        let home = HOME.load(Ordering::Relaxed);
        let index = shared.current.load(Ordering::Relaxed);
        if signal == libc::SIGUSR1 {
            ptr::copy_nonoverlapping(registers, home, 1);
            HOME_FS.store(bases()[0] as usize, Ordering::Relaxed);
            return enter(registers, &shared.slots[index]);
        }
        let rip = registers.gregs[libc::REG_RIP as usize] as u64;
        let count = registers.gregs[libc::REG_RCX as usize] as usize;
        // A repetition that goes on has counted and stays where it is.
        let repeats = shared.slots[index].repeats;
        let again = repeats && signal == libc::SIGTRAP && rip == CODE;
        if again && LAST_COUNT.swap(count, Ordering::Relaxed) != count {
            return;
        }
        leave(registers, &mut shared.slots[index]);
        let next = index + 1;
        shared.current.store(next, Ordering::Relaxed);
        if next < shared.end.load(Ordering::Relaxed) {
            return enter(registers, &shared.slots[next]);
        }
        registers.gregs = (*home).gregs;
        set_bases([HOME_FS.load(Ordering::Relaxed) as u64, 0]);
    }
}

/// The bases of FS and GS.
fn bases() -> [u64; 2] {
    let (fs, gs);
    // SAFETY: reads two registers; `prepare` has asked whether programs may.
    unsafe {
        asm!("rdfsbase {}", "rdgsbase {}", out(reg) fs, out(reg) gs, options(nomem, nostack));
    }
    [fs, gs]
}

/// Loads FS and GS. Until the batch ends nothing may be called that uses thread-local storage.
fn set_bases([fs, gs]: [u64; 2]) {
    // SAFETY: this process's handler uses neither, and FS comes back with the batch's end.
    unsafe {
        asm!("wrfsbase {}", "wrgsbase {}", in(reg) fs, in(reg) gs, options(nomem, nostack));
    }
}

/// The part of a signal's frame that holds the x87 and vector registers; and whether it has YMM.
///
/// # Safety
/// The context must be one that the kernel has just handed over.
unsafe fn vectors(registers: &libc::mcontext_t) -> (*mut u8, bool) {
    let at = registers.fpregs.cast::<u8>();
    // SAFETY: the kernel always writes 512 bytes here.
    let extended = unsafe { at.add(SOFTWARE).cast::<u32>().read_unaligned() } == MAGIC;
    // SAFETY: with the mark the header follows; bit 2 of the features means YMM.
    let features = unsafe { at.add(SOFTWARE + 8).cast::<u64>().read_unaligned() };
    (at, extended && features & 4 != 0)
}

/// Makes the saved context that of a case.
///
/// # Safety
/// The data and the code must be mapped, and the context be the kernel's.
unsafe fn enter(registers: &mut libc::mcontext_t, slot: &Slot) {
    let state = &slot.before;
    // SAFETY: as the caller promises; the arrays are as long as what is copied.
    unsafe {
        ptr::copy_nonoverlapping(slot.code.as_ptr(), CODE as *mut u8, slot.code.len());
        ptr::copy_nonoverlapping(state.memory.as_ptr(), DATA as *mut u8, READ_ONLY);
        let read_only = (DATA as *mut u8).add(READ_ONLY);
        let rest = &state.memory[READ_ONLY..];
        if std::slice::from_raw_parts(read_only, rest.len()) != rest {
            let page = read_only.cast();
            libc::mprotect(page, rest.len(), libc::PROT_READ | libc::PROT_WRITE);
            ptr::copy_nonoverlapping(rest.as_ptr(), read_only, rest.len());
            libc::mprotect(page, rest.len(), libc::PROT_READ);
        }
        let (at, ymm) = vectors(registers);
        ptr::copy_nonoverlapping(state.image.as_ptr(), at, place::END);
        if ymm {
            let header = at.add(XSTATE_BV).cast::<u64>();
            header.write_unaligned(header.read_unaligned() | X87_SSE_AVX);
            ptr::copy_nonoverlapping(state.high.as_ptr().cast(), at.add(YMM_HIGH), 256);
        }
    }
    for (place, value) in PLACES.iter().zip(state.gpr) {
        registers.gregs[*place as usize] = value as i64;
    }
    registers.gregs[libc::REG_RIP as usize] = state.rip as i64;
    registers.gregs[libc::REG_EFL as usize] = (state.rflags | TRAP_FLAG) as i64;
    LAST_COUNT.store(state.gpr[1] as usize, Ordering::Relaxed);
    set_bases(state.base);
}

/// Writes a case's outcome into its slot.
///
/// # Safety
/// As for [`enter`].
unsafe fn leave(registers: &libc::mcontext_t, slot: &mut Slot) {
    let state = &mut slot.after;
    state.base = bases();
    for (place, value) in PLACES.iter().zip(&mut state.gpr) {
        *value = registers.gregs[*place as usize] as u64;
    }
    state.rip = registers.gregs[libc::REG_RIP as usize] as u64;
    let rflags = registers.gregs[libc::REG_EFL as usize] as u64;
    state.rflags = rflags & FLAGS;
    slot.vector = registers.gregs[libc::REG_TRAPNO as usize] as u64;
    slot.error = registers.gregs[libc::REG_ERR as usize] as u64;
    slot.address = registers.gregs[libc::REG_CR2 as usize] as u64;
    if slot.vector == DONE {
        // A trap comes after the instruction: RF means nothing here.
        state.rflags &= !(1 << 16);
    }
    // SAFETY: as the caller promises; the arrays are as long as what is copied.
    unsafe {
        ptr::copy_nonoverlapping(DATA as *const u8, state.memory.as_mut_ptr(), DATA_LEN);
        let (at, ymm) = vectors(registers);
        state.image = [0; 512];
        ptr::copy_nonoverlapping(at, state.image.as_mut_ptr(), place::END);
        // The mask of MXCSR is the same for all; it is no register.
        state.image[28..32].fill(0);
        state.high = [0; 16];
        let header = at.add(XSTATE_BV).cast::<u64>();
        if ymm && header.read_unaligned() & 4 != 0 {
            ptr::copy_nonoverlapping(at.add(YMM_HIGH), state.high.as_mut_ptr().cast(), 256);
        }
    }
}
