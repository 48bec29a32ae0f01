//! A small pthread library: a *user* of the task model. A thread is a task
//! that shares everything but its stack, its thread block and its identity.

mod condition;
mod futex;
mod mutex;

use core::arch::asm;
use core::cell::UnsafeCell;
use core::mem::ManuallyDrop;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use linux_raw_sys::general::{__NR_arch_prctl, ARCH_SET_FS};

pub use condition::Condition;
pub use mutex::{Guard, Mutex};

use crate::errno::Result;
use crate::map::Stack;
use crate::sys::call;
use crate::task::{
    CLONE_CHILD_CLEARTID, CLONE_FILES, CLONE_FS, CLONE_PARENT_SETTID, CLONE_SETTLS, CLONE_SIGHAND,
    CLONE_SYSVSEM, CLONE_THREAD, CLONE_VM, Clone,
};

/// What a thread runs.
pub type Routine = fn(usize) -> usize;

/// Slots of data that each thread has for itself.
pub const LOCALS: usize = 8;

/// Bytes of a thread's stack, its block included.
const STACK: usize = 64 * 1024;

/// What `pthread_create` passes to clone.
const FLAGS: u32 = CLONE_VM
    | CLONE_FS
    | CLONE_FILES
    | CLONE_SIGHAND
    | CLONE_THREAD
    | CLONE_SYSVSEM
    | CLONE_SETTLS
    | CLONE_PARENT_SETTID
    | CLONE_CHILD_CLEARTID;

/// A thread's own block; FS points to it. Other threads touch only `tid` and,
/// after the thread's end, `result`.
#[repr(C)]
struct Block {
    /// Its own address, as the System V ABI wants it at `fs:0`.
    this: AtomicUsize,
    locals: [AtomicUsize; LOCALS],
    /// The kernel writes the id here before `clone` returns and clears it, and
    /// wakes who waits for that, when the thread is gone.
    tid: AtomicU32,
    result: AtomicUsize,
    routine: Routine,
    arg: usize,
}

const _: () = assert!(
    core::mem::offset_of!(Block, locals) == 8,
    "local() and set_local() rely on it"
);

/// The first thread's block lies here; the others' at the top of their stacks.
struct First(UnsafeCell<Block>);

// SAFETY: everything that threads touch in a block is atomic.
unsafe impl Sync for First {}

static FIRST: First = First(UnsafeCell::new(Block {
    this: AtomicUsize::new(0),
    locals: [const { AtomicUsize::new(0) }; LOCALS],
    tid: AtomicU32::new(0),
    result: AtomicUsize::new(0),
    routine: |_| 0,
    arg: 0,
}));

/// Points FS at the first thread's block.
pub(crate) fn start_first_thread() {
    let block = FIRST.0.get();
    // SAFETY: the block is static; only its atomics are touched.
    unsafe { (*block).this.store(block as usize, Ordering::Relaxed) };
    // SAFETY: nothing has used FS yet.
    let set = unsafe {
        call(
            __NR_arch_prctl,
            [ARCH_SET_FS as usize, block as usize, 0, 0, 0, 0],
        )
    };
    crate::out::must(set, "arch_prctl(ARCH_SET_FS)");
}

/// This thread's n-th slot, read through FS. Out of range is a panic.
#[must_use]
pub fn local(slot: usize) -> usize {
    assert!(slot < LOCALS, "slot {slot}");
    let value;
    // SAFETY: FS points to this thread's block, and the slot lies in it.
    unsafe {
        asm!("mov {value}, fs:[8 + {slot} * 8]", value = out(reg) value, slot = in(reg) slot,
             options(nostack, readonly, preserves_flags));
    }
    value
}

/// Sets this thread's n-th slot through FS. Out of range is a panic.
pub fn set_local(slot: usize, value: usize) {
    assert!(slot < LOCALS, "slot {slot}");
    // SAFETY: FS points to this thread's block, and the slot lies in it.
    unsafe {
        asm!("mov fs:[8 + {slot} * 8], {value}", value = in(reg) value, slot = in(reg) slot,
             options(nostack, preserves_flags));
    }
}

/// A thread that can be joined.
pub struct Thread {
    block: &'static Block,
    stack: ManuallyDrop<Stack>,
    id: i32,
}

impl Thread {
    /// Starts a thread that runs `routine(arg)`.
    ///
    /// # Errors
    /// As mmap(2) and clone(2).
    pub fn spawn(routine: Routine, arg: usize) -> Result<Thread> {
        Self::spawn_without(0, routine, arg)
    }

    /// [`Thread::spawn`] without some of the flags: what they share, this
    /// thread has for itself.
    ///
    /// # Errors
    /// As mmap(2) and clone(2).
    pub fn spawn_without(flags: u32, routine: Routine, arg: usize) -> Result<Thread> {
        let stack = Stack::new(STACK)?;
        let place = (stack.top() - size_of::<Block>()) & !63;
        let block = place as *mut Block;
        // SAFETY: the place lies in the new stack, aligned, and nobody else knows it.
        let block: &'static Block = unsafe {
            block.write(Block {
                this: AtomicUsize::new(place),
                locals: [const { AtomicUsize::new(0) }; LOCALS],
                tid: AtomicU32::new(0),
                result: AtomicUsize::new(0),
                routine,
                arg,
            });
            &*block
        };
        let tid = block.tid.as_ptr() as usize;
        let clone = Clone {
            flags: FLAGS & !flags,
            stack_top: place,
            parent_tid: tid,
            child_tid: tid,
            tls: place,
        };
        // SAFETY: the stack and the block stay mapped until `join`, which waits
        // until the kernel says that the thread is gone.
        let id = unsafe { clone.run(begin, place) }?;
        Ok(Thread {
            block,
            stack: ManuallyDrop::new(stack),
            id,
        })
    }

    /// Its task id.
    #[must_use]
    pub fn id(&self) -> i32 {
        self.id
    }

    /// Waits until it has ended, and gives what its routine gave.
    ///
    /// # Errors
    /// As munmap(2).
    pub fn join(self) -> Result<usize> {
        loop {
            let tid = self.block.tid.load(Ordering::Acquire);
            if tid == 0 {
                break;
            }
            futex::wait_shared(&self.block.tid, tid);
        }
        let result = self.block.result.load(Ordering::Relaxed);
        // SAFETY: the thread is gone, and `self` with its reference goes here.
        unsafe { ManuallyDrop::into_inner(self.stack).unmap() }?;
        Ok(result)
    }
}

/// The first function of a thread.
extern "C" fn begin(block: usize) -> i32 {
    // SAFETY: `spawn` passes the block, which outlives the thread.
    let block = unsafe { &*(block as *const Block) };
    let result = (block.routine)(block.arg);
    block.result.store(result, Ordering::Relaxed);
    0
}
