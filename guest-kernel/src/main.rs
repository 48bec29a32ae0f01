//! coe's kernel.
#![no_std]
#![no_main]

extern crate alloc;

mod arch;
mod errno;
mod fs;
mod futex;
mod mm;
mod probe;
mod random;
mod sched;
mod signal;
mod sync;
mod syscall;

#[unsafe(no_mangle)]
extern "C" fn kernel_main(_start_info: u64) -> ! {
    loop {}
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
