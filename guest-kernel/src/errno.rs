//! Errors as Linux numbers them.

use core::fmt;

use linux_raw_sys::errno as raw;

/// A Linux error number, positive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(u16);

/// What every fallible function of the kernel returns.
pub type Result<T, E = Errno> = core::result::Result<T, E>;

macro_rules! errnos {
    ($($name:ident)*) => {
        #[allow(missing_docs, reason = "the names are Linux's")]
        #[allow(dead_code, reason = "the list is kept whole")]
        impl Errno {
            $(pub const $name: Errno = Errno(raw::$name as u16);)*
        }

        impl fmt::Debug for Errno {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match *self {
                    $(Errno::$name => f.write_str(stringify!($name)),)*
                    Errno(number) => write!(f, "errno {number}"),
                }
            }
        }
    };
}

errnos! {
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT
    EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC
    ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOSYS ENOTEMPTY ELOOP ETIMEDOUT
    ECANCELED EOVERFLOW EOPNOTSUPP EIDRM ENOLCK
}

impl Errno {
    /// A sleep was cut short by a signal: start the call again if the handler
    /// says SA_RESTART or there is none, otherwise it fails with EINTR.
    /// Never reaches user mode.
    pub const ERESTARTSYS: Errno = Errno(512);
    /// Start the call again whatever the handler says.
    pub const ERESTARTNOINTR: Errno = Errno(513);
    /// Without a handler the call goes on through `restart_syscall`.
    pub const ERESTART_RESTARTBLOCK: Errno = Errno(516);
    /// Like [`Errno::ERESTARTSYS`], but EINTR whenever a handler runs.
    pub const ERESTARTNOHAND: Errno = Errno(514);

    /// True for the errors that ask for a restart and never reach user mode.
    #[must_use]
    pub fn is_restart(self) -> bool {
        (Self::ERESTARTSYS.0..=Self::ERESTART_RESTARTBLOCK.0).contains(&self.0)
    }

    /// The value that a system call returns for this error.
    #[must_use]
    pub fn as_return(self) -> u64 {
        -i64::from(self.0) as u64
    }

    /// The error in a system call's return value, if it is one.
    #[must_use]
    pub fn from_return(value: u64) -> Option<Self> {
        let value = value as i64;
        (-4095..0).contains(&value).then(|| Errno(-value as u16))
    }
}
