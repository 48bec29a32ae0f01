//! The calls about who a task is, what its namespaces are called, and System V
//! semaphores.

use core::ffi::CStr;

use linux_raw_sys::general as linux;

use crate::errno::Result;
use crate::sys::call;
use crate::task;

/// A call whose arguments are all numbers.
fn plain(nr: u32, args: [u32; 4]) -> Result<usize> {
    let [a, b, c, d] = args.map(|arg| arg as usize);
    // SAFETY: callers pass calls that read and write no memory of ours.
    unsafe { call(nr, [a, b, c, d, 0, 0]) }
}

/// An id that stays as it is.
pub const SAME: u32 = u32::MAX;

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident($($arg:ident),*) $nr:ident;)*) => { $(
        $(#[$doc])*
        ///
        /// # Errors
        /// As on its manual page.
        pub fn $name($($arg: u32),*) -> Result<()> {
            let mut args = [0; 4];
            let given = [$($arg),*];
            for (place, arg) in args.iter_mut().zip(given) {
                *place = arg;
            }
            plain(linux::$nr, args).map(drop)
        }
    )* };
}

numbers! {
    /// `setuid`.
    setuid(uid) __NR_setuid;
    /// `setgid`.
    setgid(gid) __NR_setgid;
    /// `setreuid`.
    setreuid(real, effective) __NR_setreuid;
    /// `setregid`.
    setregid(real, effective) __NR_setregid;
    /// `setresuid`.
    setresuid(real, effective, saved) __NR_setresuid;
    /// `setresgid`.
    setresgid(real, effective, saved) __NR_setresgid;
}

/// `setfsuid`: what the id was.
#[must_use]
pub fn setfsuid(uid: u32) -> u32 {
    plain(linux::__NR_setfsuid, [uid, 0, 0, 0]).map_or(SAME, |was| was as u32)
}

/// `setfsgid`: what the id was.
#[must_use]
pub fn setfsgid(gid: u32) -> u32 {
    plain(linux::__NR_setfsgid, [gid, 0, 0, 0]).map_or(SAME, |was| was as u32)
}

fn three(nr: u32) -> [u32; 3] {
    let mut ids = [SAME; 3];
    let base = &raw mut ids as usize;
    // SAFETY: the kernel writes three numbers.
    let _ = unsafe { call(nr, [base, base + 4, base + 8, 0, 0, 0]) };
    ids
}

/// Real, effective, saved and file-system user id.
#[must_use]
pub fn user_ids() -> [u32; 4] {
    let [real, effective, saved] = three(linux::__NR_getresuid);
    [real, effective, saved, setfsuid(SAME)]
}

/// Real, effective, saved and file-system group id.
#[must_use]
pub fn group_ids() -> [u32; 4] {
    let [real, effective, saved] = three(linux::__NR_getresgid);
    [real, effective, saved, setfsgid(SAME)]
}

/// `setgroups`.
///
/// # Errors
/// As setgroups(2).
pub fn setgroups(groups: &[u32]) -> Result<()> {
    let args = [groups.len(), groups.as_ptr() as usize, 0, 0, 0, 0];
    // SAFETY: the kernel reads the slice.
    unsafe { call(linux::__NR_setgroups, args) }.map(drop)
}

/// `getgroups`: how many there are; with an empty slice only that.
///
/// # Errors
/// As getgroups(2).
pub fn getgroups(groups: &mut [u32]) -> Result<usize> {
    let args = [groups.len(), groups.as_mut_ptr() as usize, 0, 0, 0, 0];
    // SAFETY: the kernel writes into the slice and no more.
    unsafe { call(linux::__NR_getgroups, args) }
}

/// Capability sets as bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Capabilities {
    /// Those that count.
    pub effective: u64,
    /// Those that can be made to.
    pub permitted: u64,
    /// Those that a program may inherit.
    pub inheritable: u64,
}

const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// `capget` of this task.
///
/// # Errors
/// As capget(2).
pub fn capabilities() -> Result<Capabilities> {
    let header = [CAPABILITY_VERSION_3, 0];
    let mut words = [0_u32; 6];
    let args = [
        &raw const header as usize,
        &raw mut words as usize,
        0,
        0,
        0,
        0,
    ];
    // SAFETY: the kernel reads the header and writes six words.
    unsafe { call(linux::__NR_capget, args) }?;
    let set = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    let [e, p, i, e_high, p_high, i_high] = words;
    Ok(Capabilities {
        effective: set(e, e_high),
        permitted: set(p, p_high),
        inheritable: set(i, i_high),
    })
}

/// `capset` of this task.
///
/// # Errors
/// As capset(2).
pub fn set_capabilities(sets: Capabilities) -> Result<()> {
    let header = [CAPABILITY_VERSION_3, 0];
    let all = [sets.effective, sets.permitted, sets.inheritable];
    let [low, high] = [all.map(|set| set as u32), all.map(|set| (set >> 32) as u32)];
    let words = [low, high];
    let args = [
        &raw const header as usize,
        &raw const words as usize,
        0,
        0,
        0,
        0,
    ];
    // SAFETY: the kernel reads the header and six words.
    unsafe { call(linux::__NR_capset, args) }.map(drop)
}

/// `prctl` with numbers.
///
/// # Errors
/// As prctl(2).
pub fn prctl(option: u32, first: usize, second: usize) -> Result<usize> {
    // SAFETY: callers pass options whose arguments are numbers.
    unsafe { call(linux::__NR_prctl, [option as usize, first, second, 0, 0, 0]) }
}

/// `prctl` with an option that writes a number.
///
/// # Errors
/// As prctl(2).
pub fn prctl_number(option: u32) -> Result<u32> {
    let mut number = 0_u32;
    let at = &raw mut number as usize;
    // SAFETY: the kernel writes one number.
    unsafe { call(linux::__NR_prctl, [option as usize, at, 0, 0, 0, 0]) }?;
    Ok(number)
}

/// `prctl(PR_SET_NAME)`.
///
/// # Errors
/// As prctl(2).
pub fn set_name(name: &CStr) -> Result<()> {
    let option = linux_raw_sys::prctl::PR_SET_NAME as usize;
    // SAFETY: the name ends with NUL.
    unsafe {
        call(
            linux::__NR_prctl,
            [option, name.as_ptr() as usize, 0, 0, 0, 0],
        )
    }
    .map(drop)
}

/// `prctl(PR_GET_NAME)`.
///
/// # Errors
/// As prctl(2).
pub fn name() -> Result<[u8; 16]> {
    let mut name = [0; 16];
    let option = linux_raw_sys::prctl::PR_GET_NAME as usize;
    // SAFETY: the kernel writes sixteen bytes.
    unsafe {
        call(
            linux::__NR_prctl,
            [option, name.as_mut_ptr() as usize, 0, 0, 0, 0],
        )
    }?;
    Ok(name)
}

/// `access` from the working directory.
///
/// # Errors
/// As access(2).
pub fn access(path: &CStr, mode: u32) -> Result<()> {
    let args = [path.as_ptr() as usize, mode as usize, 0, 0, 0, 0];
    // SAFETY: the path ends with NUL.
    unsafe { call(linux::__NR_access, args) }.map(drop)
}

/// A call that takes a path and a number: mkdir, chmod, and with 0 unlink,
/// rmdir.
///
/// # Errors
/// As on its manual page.
pub fn path_call(nr: u32, path: &CStr, first: u32, second: u32) -> Result<()> {
    let args = [
        path.as_ptr() as usize,
        first as usize,
        second as usize,
        0,
        0,
        0,
    ];
    // SAFETY: the path ends with NUL.
    unsafe { call(nr, args) }.map(drop)
}

/// `prlimit`: how many descriptors another task may have, at least and at most.
///
/// # Errors
/// As prlimit(2).
pub fn limits_of(pid: i32) -> Result<[u64; 2]> {
    let mut limits = [0; 2];
    let resource = linux::RLIMIT_NOFILE as usize;
    let args = [pid as usize, resource, 0, &raw mut limits as usize, 0, 0];
    // SAFETY: the kernel writes two numbers.
    unsafe { call(linux::__NR_prlimit64, args) }?;
    Ok(limits)
}

/// `setrlimit(RLIMIT_NPROC)`.
///
/// # Errors
/// As setrlimit(2).
pub fn set_task_limit(most: u64) -> Result<()> {
    let limits = [most, most];
    let resource = linux::RLIMIT_NPROC as usize;
    let args = [resource, &raw const limits as usize, 0, 0, 0, 0];
    // SAFETY: the kernel reads two numbers.
    unsafe { call(linux::__NR_setrlimit, args) }.map(drop)
}

/// `sethostname`.
///
/// # Errors
/// As sethostname(2).
pub fn sethostname(name: &[u8]) -> Result<()> {
    let args = [name.as_ptr() as usize, name.len(), 0, 0, 0, 0];
    // SAFETY: the kernel reads the slice.
    unsafe { call(linux::__NR_sethostname, args) }.map(drop)
}

/// `setdomainname`.
///
/// # Errors
/// As setdomainname(2).
pub fn setdomainname(name: &[u8]) -> Result<()> {
    let args = [name.as_ptr() as usize, name.len(), 0, 0, 0, 0];
    // SAFETY: the kernel reads the slice.
    unsafe { call(linux::__NR_setdomainname, args) }.map(drop)
}

/// The fields of `uname`.
pub struct Names([[u8; 65]; 6]);

impl Names {
    /// `uname`.
    ///
    /// # Errors
    /// As uname(2).
    pub fn get() -> Result<Self> {
        let mut fields = [[0; 65]; 6];
        // SAFETY: the kernel writes six fields.
        unsafe { call(linux::__NR_uname, [&raw mut fields as usize, 0, 0, 0, 0, 0]) }?;
        Ok(Names(fields))
    }

    fn field(&self, at: usize) -> &str {
        let bytes = self.0.get(at).map_or(&[][..], |field| field);
        let name = CStr::from_bytes_until_nul(bytes).unwrap_or(c"?");
        name.to_str().unwrap_or("?")
    }

    /// What the host is called.
    #[must_use]
    pub fn host(&self) -> &str {
        self.field(1)
    }

    /// What the domain is called.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.field(5)
    }
}

/// `semget` and friends: the key of a set that nobody finds.
pub const IPC_PRIVATE: i32 = 0;
/// Make a set if there is none.
pub const IPC_CREAT: u32 = 0o1000;
/// Fail if there is one.
pub const IPC_EXCL: u32 = 0o2000;
/// Fail rather than wait.
pub const IPC_NOWAIT: u16 = 0o4000;
/// Take back at the end.
pub const SEM_UNDO: u16 = 0x1000;
/// semctl: remove the set.
pub const IPC_RMID: u32 = 0;
/// semctl: who changed it last.
pub const GETPID: u32 = 11;
/// semctl: the value.
pub const GETVAL: u32 = 12;
/// semctl: all values.
pub const GETALL: u32 = 13;
/// semctl: how many wait for it to grow.
pub const GETNCNT: u32 = 14;
/// semctl: how many wait for it to become zero.
pub const GETZCNT: u32 = 15;
/// semctl: set the value.
pub const SETVAL: u32 = 16;
/// semctl: set all values.
pub const SETALL: u32 = 17;

/// One operation: which semaphore, what is added, flags.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Operation(pub u16, pub i16, pub u16);

/// `semget`.
///
/// # Errors
/// As semget(2).
pub fn semget(key: i32, count: i32, flags: u32) -> Result<i32> {
    plain(linux::__NR_semget, [key as u32, count as u32, flags, 0]).map(|id| id as i32)
}

/// `semop`.
///
/// # Errors
/// As semop(2).
pub fn semop(id: i32, operations: &[Operation]) -> Result<()> {
    let args = [
        id as isize as usize,
        operations.as_ptr() as usize,
        operations.len(),
        0,
        0,
        0,
    ];
    // SAFETY: the kernel reads the slice.
    unsafe { call(linux::__NR_semop, args) }.map(drop)
}

/// `semtimedop`.
///
/// # Errors
/// As semop(2).
pub fn semtimedop(id: i32, operations: &[Operation], milliseconds: i64) -> Result<()> {
    let time = [milliseconds / 1000, milliseconds % 1000 * 1_000_000];
    let args = [
        id as isize as usize,
        operations.as_ptr() as usize,
        operations.len(),
        &raw const time as usize,
        0,
        0,
    ];
    // SAFETY: the kernel reads the slice and one timespec.
    unsafe { call(linux::__NR_semtimedop, args) }.map(drop)
}

/// `semctl` with a number.
///
/// # Errors
/// As semctl(2).
pub fn semctl(id: i32, number: i32, command: u32, argument: u32) -> Result<usize> {
    plain(
        linux::__NR_semctl,
        [id as u32, number as u32, command, argument],
    )
}

/// `semctl` with GETALL or SETALL.
///
/// # Errors
/// As semctl(2).
pub fn semctl_all(id: i32, command: u32, values: &mut [u16]) -> Result<()> {
    let args = [
        id as isize as usize,
        0,
        command as usize,
        values.as_mut_ptr() as usize,
        0,
        0,
    ];
    // SAFETY: callers pass a slice as long as the set.
    unsafe { call(linux::__NR_semctl, args) }.map(drop)
}

/// shmat: only to read.
pub const SHM_RDONLY: u32 = 0o10000;
/// shmat: the address may be rounded down.
pub const SHM_RND: u32 = 0o20000;
/// shmctl: what it is.
pub const IPC_STAT: u32 = 2;

/// `shmget`.
///
/// # Errors
/// As shmget(2).
pub fn shmget(key: i32, size: usize, flags: u32) -> Result<i32> {
    let args = [key as usize, size, flags as usize, 0, 0, 0];
    // SAFETY: numbers only.
    unsafe { call(linux::__NR_shmget, args) }.map(|id| id as i32)
}

/// `shmat`: where the segment is.
///
/// # Errors
/// As shmat(2).
///
/// # Safety
/// With an address, nothing that is in use lies there.
pub unsafe fn shmat(id: i32, address: usize, flags: u32) -> Result<usize> {
    let args = [id as isize as usize, address, flags as usize, 0, 0, 0];
    // SAFETY: the caller's promise.
    unsafe { call(linux::__NR_shmat, args) }
}

/// `shmdt`.
///
/// # Errors
/// As shmdt(2).
///
/// # Safety
/// Nobody uses the segment at that address any more.
pub unsafe fn shmdt(address: usize) -> Result<()> {
    // SAFETY: the caller's promise.
    unsafe { call(linux::__NR_shmdt, [address, 0, 0, 0, 0, 0]) }.map(drop)
}

/// `shmctl(IPC_RMID)`.
///
/// # Errors
/// As shmctl(2).
pub fn shm_remove(id: i32) -> Result<()> {
    plain(linux::__NR_shmctl, [id as u32, IPC_RMID, 0, 0]).map(drop)
}

/// `shmctl(IPC_STAT)`: bytes, how often it is attached, mode.
///
/// # Errors
/// As shmctl(2).
pub fn shm_status(id: i32) -> Result<(u64, u64, u64)> {
    let mut words = [0_u64; 14];
    let at = &raw mut words as usize;
    let args = [id as isize as usize, IPC_STAT as usize, at, 0, 0, 0];
    // SAFETY: the kernel writes a structure of fourteen words.
    unsafe { call(linux::__NR_shmctl, args) }?;
    let [_, _, gid_and_mode, _, _, _, size, _, _, _, _, attached, ..] = words;
    Ok((size, attached, gid_and_mode >> 32))
}

/// Runs a function in a child that is a copy, and waits for it.
pub fn in_child(work: impl FnOnce()) {
    let child = crate::out::must(task::fork(), "fork");
    if child == 0 {
        work();
        task::exit(0);
    }
    let (_, status) = crate::out::must(task::wait(child, 0), "wait");
    if status.exited() != Some(0) {
        crate::println!("the child {status}");
    }
}

/// What a call gave, as a word.
pub fn word<T>(result: &Result<T>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(errno) => errno.name().unwrap_or("another error"),
    }
}
