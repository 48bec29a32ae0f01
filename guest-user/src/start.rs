//! From the first instruction to the program's function, and what it finds
//! there: arguments and environment.

use core::ffi::{CStr, c_char};
use core::panic::PanicInfo;

use crate::{pthread, sys, task};

/// The program's arguments and environment, as the kernel left them on the stack.
#[derive(Clone, Copy)]
pub struct Args {
    count: usize,
    argv: *const *const c_char,
}

impl Args {
    /// The n-th argument; 0 is the program.
    #[must_use]
    pub fn get(&self, n: usize) -> Option<&'static CStr> {
        // SAFETY: the kernel leaves `count` pointers to strings that end with
        // NUL, and nobody changes them.
        (n < self.count).then(|| unsafe { CStr::from_ptr(*self.argv.add(n)) })
    }

    /// The n-th argument if it is UTF-8.
    #[must_use]
    pub fn text(&self, n: usize) -> Option<&'static str> {
        self.get(n)?.to_str().ok()
    }

    /// The n-th argument as a number, or `default` if there is none.
    ///
    /// Anything else ends the program with status 2 and says so.
    #[must_use]
    pub fn number(&self, n: usize, default: usize) -> usize {
        let Some(text) = self.get(n) else {
            return default;
        };
        match text.to_str().ok().and_then(|text| text.parse().ok()) {
            Some(number) => number,
            None => {
                crate::eprintln!("argument {n} is not a number: {text:?}");
                task::exit(2)
            }
        }
    }

    /// The path of another program in the folder of this one.
    #[must_use]
    pub fn beside<'a>(&self, name: &str, path: &'a mut [u8; 256]) -> Option<&'a CStr> {
        let own = self.get(0)?.to_bytes();
        let folder = match own.iter().rposition(|&byte| byte == b'/') {
            Some(at) => own.get(..=at)?,
            None => b"/bin/",
        };
        path.get_mut(..folder.len())?.copy_from_slice(folder);
        path.get_mut(folder.len()..folder.len() + name.len())?
            .copy_from_slice(name.as_bytes());
        *path.get_mut(folder.len() + name.len())? = 0;
        CStr::from_bytes_until_nul(path).ok()
    }

    /// What the kernel says about the program under a key of the auxiliary
    /// vector.
    #[must_use]
    pub fn auxiliary(&self, key: u32) -> Option<usize> {
        let mut at = self.environment();
        // SAFETY: the environment ends with a null pointer, and pairs of key and
        // value follow it up to the key 0.
        unsafe {
            while !(*at).is_null() {
                at = at.add(1);
            }
            let mut pair = at.add(1).cast::<[usize; 2]>();
            loop {
                match *pair {
                    [0, _] => return None,
                    [found, value] if found == key as usize => return Some(value),
                    _ => pair = pair.add(1),
                }
            }
        }
    }

    /// The environment as `execve` wants it.
    #[must_use]
    pub fn environment(&self) -> *const *const c_char {
        // SAFETY: the environment's pointers follow the arguments' and their null.
        unsafe { self.argv.add(self.count + 1) }
    }
}

/// Runs the program's function on what the kernel left on the stack.
///
/// # Safety
/// `stack` is the stack pointer of the program's first instruction.
pub unsafe fn run(stack: *const usize, main: fn(&Args) -> i32) -> ! {
    // SAFETY: the count of arguments lies at the stack pointer, their pointers above it.
    let args = unsafe {
        Args {
            count: *stack,
            argv: stack.add(1).cast(),
        }
    };
    pthread::start_first_thread();
    task::exit(main(&args))
}

/// Makes a function `fn(&Args) -> i32` the program: its result is the exit status.
#[macro_export]
macro_rules! program {
    ($main:path) => {
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        extern "C" fn _start() -> ! {
            extern "C" fn enter(stack: *const usize) -> ! {
                // SAFETY: `_start` is the first instruction and passes its stack pointer.
                unsafe { $crate::start::run(stack, $main) }
            }
            ::core::arch::naked_asm!(
                "mov rdi, rsp",
                "xor ebp, ebp",
                "and rsp, -16",
                "call {enter}",
                "ud2",
                enter = sym enter,
            )
        }
    };
}

/// A panic is a bug in a program of ours: it says where and ends with status 101.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    crate::out::line(sys::STDERR, format_args!("{info}"));
    task::exit(101)
}
