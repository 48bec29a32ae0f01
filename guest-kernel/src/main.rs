//! coe's kernel: there is no process and no thread, only the task, which
//! shares or copies each part of its context as the flags of clone say.
//!
//! # Layout
//!
//! Each room imports only those above it in this list, and `arch`:
//!
//! | room | what |
//! |---|---|
//! | `arch` | x86-64: boot, entries, descriptor tables, interrupt controllers, clocks, serial port |
//! | `errno`, `probe`, `count` | Linux's error numbers; tracepoints and choices; how many objects of each type live |
//! | `sync` | spin locks (interrupts off while held), sleeping mutexes, `Once` |
//! | `sched` | who runs: run queue, policies, slices, wait queues, timers, deferred work |
//! | `mm` | frames, heap, kernel map, address spaces, page faults, user memory |
//! | `block` | the disk and its page cache |
//! | `fs` | files in memory, descriptors, pipes, the console's terminal |
//! | `signal`, `futex` | signals' data and frames; waiting on words of memory |
//! | `task` | the task, clone, exec, exit, wait, sending signals, kernel threads |
//! | `proc` | `/proc`, a file system that tells of tasks and of the kernel |
//! | `syscall` | the table of system calls and their handlers |
//! | `interrupt`, `cmdline`, `panic`, this file | vectors, the command line, the end, the beginning |
//! | `mutant` | deliberate faults in a build for tests |
//!
//! A call upwards goes through a hook that the lower room defines (`Hooks` in
//! `arch::trap` and `fs::hooks`, `mm::user::CURRENT`, `mm::Backing`).
//!
//! # Memory
//!
//! | address | what |
//! |---|---|
//! | below `0x7fff_ffff_f000` | the task's |
//! | `0xffff_8000_0000_0000` | all physical memory (the direct map) |
//! | `0xffff_8080_0000_0000` | kernel stacks and large objects, each range with an unmapped page before it |
//! | `0xffff_ffff_8000_0000` | the kernel's image, loaded at 1 MiB |
//!
//! The kernel never goes through a user mapping: it finds the frame and copies
//! through the direct map. So no instruction of the kernel may fault.
//!
//! # Building
//!
//! `cargo build -p guest-kernel --profile guest --target x86_64-unknown-none`
//! with the flags `-C relocation-model=static -C code-model=kernel`; the linker
//! script comes from the build script.
#![no_std]
#![no_main]
#![allow(
    unreachable_pub,
    reason = "in a program without a library `pub` says what a room offers to the others"
)]

extern crate alloc;

mod arch;
mod block;
mod cmdline;
mod count;
mod errno;
mod fs;
mod futex;
mod interrupt;
mod mm;
mod mutant;
mod panic;
mod probe;
mod proc;
mod random;
mod sched;
mod signal;
mod sync;
mod syscall;
mod task;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::slice;

use arch::pvh::{BootInfo, Range};
use arch::trap::{HOOKS, Hooks, TrapFrame, user_frame};
use cmdline::Cmdline;
use sync::{Once, SpinLock};

static CMDLINE: Once<Cmdline> = Once::new();

/// Where the boot code comes to, with the address of the start-info block.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(start_info: u64) -> ! {
    // SAFETY: the first thing that happens on the only CPU, once.
    unsafe {
        arch::percpu::init(0);
        arch::gdt::init(0);
        arch::idt::init();
        arch::idt::load();
        arch::syscall::init();
        arch::fpu::init();
    }
    arch::serial::init();
    probe::init();
    set_hooks();
    // SAFETY: the address is the loader's, and nothing has been written yet.
    let info = unsafe { BootInfo::at(start_info) }.expect("the loader speaks PVH");
    let initrd = init_memory(&info);
    CMDLINE.set(cmdline::parse(info.cmdline()));
    init_devices(&info);
    init_tasks(initrd);
    sched::idle()
}

fn cmdline() -> &'static Cmdline {
    CMDLINE.get().expect("the command line is read first")
}

fn set_hooks() {
    HOOKS.set(Hooks {
        syscall: syscall::handle,
        fault: task::fault::handle,
        interrupt: interrupt::handle,
        leave,
        pending: sched::pending_work,
        preempt: sched::preempt,
    });
}

/// On the way to user mode something is to be done.
fn leave(frame: &mut TrapFrame) {
    if sched::wants_switch() {
        sched::reschedule();
    } else if sched::take_switched() {
        task::rseq::resume(frame);
    } else {
        if sched::take_alarm() {
            task::timers::check_cpu_timers();
        }
        task::signal::deliver(frame);
    }
}

/// Takes stock of memory; gives the initrd's bytes.
fn init_memory(info: &BootInfo) -> &'static [u8] {
    arch::paging::init();
    let initrd = info.initrd();
    let kernel = Range {
        start: arch::layout::LOW_MEMORY_END,
        end: arch::boot::kernel_end(),
    };
    let none = Range { start: 0, end: 0 };
    mm::frame::init(info.memory(), &[kernel, initrd.unwrap_or(none)]);
    let top = info.memory().map(|range| range.end).max().unwrap_or(0);
    mm::direct_map::extend(top).expect("there is memory for the direct map");
    mm::kernel_map::init().expect("there is memory for the kernel map");
    let Some(initrd) = initrd else {
        return &[];
    };
    let len = (initrd.end - initrd.start) as usize;
    // SAFETY: the range is RAM that the allocator was told to leave alone.
    unsafe { slice::from_raw_parts(arch::layout::direct(initrd.start) as *const u8, len) }
}

fn init_devices(info: &BootInfo) {
    arch::pic::silence();
    arch::apic::init();
    arch::clock::init();
    if let Some(madt) = arch::acpi::madt(info.rsdp()) {
        arch::ioapic::init(&madt, arch::apic::id());
    }
    arch::boot::forget_identity_map();
    let cmdline = cmdline();
    if let Some(disk) = cmdline.disk {
        block::init(disk);
    }
    random::init(cmdline.seed);
    sched::time::set_epoch(cmdline.epoch);
}

fn init_tasks(initrd: &'static [u8]) {
    let cmdline = cmdline();
    let policy = sched::policy::by_name(cmdline.sched).expect("sched= names a policy");
    sched::slice::init(policy.slices(), cmdline.slice, cmdline.slice_cycles);
    let mounts = match fs::init(initrd) {
        Ok(mounts) => mounts,
        Err(damaged) => panic!(
            "the initrd is damaged at byte {}: {}",
            damaged.at, damaged.what
        ),
    };
    let files = Arc::new(SpinLock::new(fs::FdTable::new()));
    let context = Arc::new(SpinLock::new(fs::FsContext::new(fs::Place::root_of(
        mounts.root(),
    ))));
    let root = mounts.root();
    let idle = task::clone::make_idle(files, context, mounts);
    sched::init(
        policy,
        core::ptr::from_ref(idle).cast(),
        idle.account().clone(),
    );
    task::init();
    fs::hooks::install(fs::hooks::Hooks {
        broken_pipe: task::signal::broken_pipe,
        signal_group: task::signal::kernel_to_process_group,
        session_of: task::jobs::session_of,
        own_session: task::jobs::own_session,
        check_foreground: task::jobs::check_foreground,
        now,
        subject: || task::current().acting_credentials(),
    });
    proc::init();
    proc::mount_at_boot(&root).expect("there is memory for /proc");
    fs::hooks::TRUNCATED.set(task::mappings::truncated);
    sched::softirq::on_console(fs::tty::deferred);
    arch::serial::enable_receive_interrupt();
    arch::irq::on();
    let tasks = [
        task::kthread::kernel_thread("init", start_init, 0, linux_raw_sys::general::CLONE_FS),
        task::kthread::kernel_thread(
            "kthreadd",
            task::kthread::kthreadd,
            0,
            task::kthread::CLONE_KERNEL,
        ),
    ];
    for task in tasks {
        task.expect("there is memory for the first tasks");
    }
    task::kthread::request("ksoftirqd/0", task::kthread::ksoftirqd);
    if block::device().is_some() {
        task::kthread::request("pdflush", task::pdflush::pdflush);
    }
    arch::irq::off();
}

fn now() -> fs::hooks::Timestamp {
    let nanoseconds = sched::Time::now().real();
    fs::hooks::Timestamp {
        seconds: (nanoseconds / 1_000_000_000) as i64,
        nanoseconds: (nanoseconds % 1_000_000_000) as u32,
    }
}

/// What task 1 does before it is the first program.
extern "C" fn start_init(_: u64) {
    let path = cmdline().init.as_bytes();
    let mut args: Vec<Vec<u8>> = Vec::new();
    args.push(path.to_vec());
    let words = cmdline().init_args.split_ascii_whitespace();
    args.extend(words.map(|word| word.as_bytes().to_vec()));
    task::current().group().lead_session();
    let started =
        task::exec::find(path).and_then(|program| task::exec::exec(path, program, &args, &[]));
    match started {
        Ok(frame) => {
            let own = user_frame(task::current().stack_top());
            // SAFETY: this task's own frame, which it enters user mode with
            // when this function returns.
            unsafe { own.write(frame) };
        }
        Err(error) => panic!("cannot run {}: {error:?}", cmdline().init),
    }
}
