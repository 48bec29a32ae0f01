//! The system calls that there are, one line each.

use linux_raw_sys::general as nr;

use super::{attributes, event, locking, locks, mount, select, space, splice};
use super::{
    clone, context, file, futex, identity, io, ioctl, ioprio, memory, misc, names, pid, pidfd,
    poll, prctl, process_vm, ptrace, semaphores, signal, signalfd, sigqueue, stat, task, time, uts,
    wait,
};
use crate::arch::trap::TrapFrame;
use crate::errno::Result;

/// One call: its arguments, and the caller's registers for the few calls that
/// work on them.
pub struct Call<'a> {
    /// The number.
    pub nr: u64,
    /// The six arguments.
    pub args: [u64; 6],
    /// The caller's registers.
    pub frame: &'a mut TrapFrame,
}

impl Call<'_> {
    /// Argument `index` as the 32-bit number that C passed.
    #[must_use]
    pub fn int(&self, index: usize) -> i32 {
        self.args[index] as i32
    }
}

/// What an argument is, for whoever prints calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgKind {
    /// A number.
    Int,
    /// A number best read in hexadecimal: flags, sizes of address ranges.
    Hex,
    /// A descriptor.
    Fd,
    /// A user address.
    Pointer,
    /// A user address of a string.
    Str,
}

/// One system call.
pub struct Entry {
    /// Its number.
    pub nr: u32,
    /// Its name.
    #[expect(
        dead_code,
        reason = "the table is also what a reader prints calls from"
    )]
    pub name: &'static str,
    /// What does it.
    pub handler: fn(&mut Call<'_>) -> Result<u64>,
    /// Its arguments.
    #[expect(
        dead_code,
        reason = "the table is also what a reader prints calls from"
    )]
    pub args: &'static [ArgKind],
}

macro_rules! table {
    ($($nr:ident $name:ident $handler:path [$($arg:ident)*];)*) => {
        /// The table, in the order of its lines.
        pub static TABLE: &[Entry] = &[$(Entry {
            nr: nr::$nr,
            name: stringify!($name),
            handler: $handler,
            args: &[$(ArgKind::$arg),*],
        },)*];
    };
}

table! {
    __NR_read read io::read [Fd Pointer Int];
    __NR_write write io::write [Fd Pointer Int];
    __NR_open open file::open [Str Hex Hex];
    __NR_close close io::close [Fd];
    __NR_stat stat stat::stat_path [Str Pointer];
    __NR_fstat fstat stat::fstat [Fd Pointer];
    __NR_lstat lstat stat::lstat [Str Pointer];
    __NR_poll poll poll::poll [Pointer Int Int];
    __NR_lseek lseek io::lseek [Fd Int Int];
    __NR_mmap mmap memory::mmap [Pointer Hex Hex Hex Fd Hex];
    __NR_mprotect mprotect memory::mprotect [Pointer Hex Hex];
    __NR_munmap munmap memory::munmap [Pointer Hex];
    __NR_brk brk memory::brk [Pointer];
    __NR_rt_sigaction rt_sigaction signal::rt_sigaction [Int Pointer Pointer Int];
    __NR_rt_sigprocmask rt_sigprocmask signal::rt_sigprocmask [Int Pointer Pointer Int];
    __NR_rt_sigreturn rt_sigreturn signal::rt_sigreturn [];
    __NR_ioctl ioctl ioctl::ioctl [Fd Hex Pointer];
    __NR_pread64 pread64 io::pread64 [Fd Pointer Int Int];
    __NR_pwrite64 pwrite64 io::pwrite64 [Fd Pointer Int Int];
    __NR_readv readv io::readv [Fd Pointer Int];
    __NR_writev writev io::writev [Fd Pointer Int];
    __NR_access access stat::access [Str Hex];
    __NR_pipe pipe file::pipe [Pointer];
    __NR_sched_yield sched_yield task::sched_yield [];
    __NR_mremap mremap memory::mremap [Pointer Hex Hex Hex Pointer];
    __NR_madvise madvise memory::madvise [Pointer Hex Int];
    __NR_dup dup file::dup [Fd];
    __NR_dup2 dup2 file::dup2 [Fd Fd];
    __NR_pause pause signal::pause [];
    __NR_nanosleep nanosleep time::nanosleep [Pointer Pointer];
    __NR_getpid getpid pid::getpid [];
    __NR_clone clone clone::clone [Hex Pointer Pointer Pointer Pointer];
    __NR_fork fork clone::fork [];
    __NR_vfork vfork clone::vfork [];
    __NR_execve execve task::execve [Str Pointer Pointer];
    __NR_exit exit task::exit [Int];
    __NR_wait4 wait4 wait::wait4 [Int Pointer Hex Pointer];
    __NR_kill kill signal::kill [Int Int];
    __NR_uname uname uts::uname [Pointer];
    __NR_shmget shmget super::segments::shmget [Int Int Hex];
    __NR_shmat shmat super::segments::shmat [Int Pointer Hex];
    __NR_shmctl shmctl super::segments::shmctl [Int Int Pointer];
    __NR_shmdt shmdt super::segments::shmdt [Pointer];
    __NR_semget semget semaphores::semget [Int Int Hex];
    __NR_semop semop semaphores::semop [Int Pointer Int];
    __NR_semctl semctl semaphores::semctl [Int Int Int Hex];
    __NR_fcntl fcntl file::fcntl [Fd Int Hex];
    __NR_ftruncate ftruncate space::ftruncate [Fd Int];
    __NR_getcwd getcwd context::getcwd [Pointer Int];
    __NR_chdir chdir context::chdir [Str];
    __NR_fchdir fchdir context::fchdir [Fd];
    __NR_mkdir mkdir names::mkdir [Str Hex];
    __NR_rmdir rmdir names::rmdir [Str];
    __NR_creat creat file::creat [Str Hex];
    __NR_unlink unlink names::unlink [Str];
    __NR_symlink symlink names::symlink [Str Str];
    __NR_readlink readlink names::readlink [Str Pointer Int];
    __NR_mount mount mount::mount [Str Str Str Hex Pointer];
    __NR_umount2 umount2 mount::umount2 [Str Hex];
    __NR_chroot chroot mount::chroot [Str];
    __NR_pivot_root pivot_root mount::pivot_root [Str Str];
    __NR_chmod chmod attributes::chmod [Str Hex];
    __NR_fchmod fchmod attributes::fchmod [Fd Hex];
    __NR_fchmodat fchmodat attributes::fchmodat [Fd Str Hex];
    __NR_fchmodat2 fchmodat2 attributes::fchmodat2 [Fd Str Hex Hex];
    __NR_chown chown attributes::chown [Str Int Int];
    __NR_lchown lchown attributes::lchown [Str Int Int];
    __NR_fchown fchown attributes::fchown [Fd Int Int];
    __NR_fchownat fchownat attributes::fchownat [Fd Str Int Int Hex];
    __NR_utime utime attributes::utime [Str Pointer];
    __NR_utimes utimes attributes::utimes [Str Pointer];
    __NR_futimesat futimesat attributes::futimesat [Fd Str Pointer];
    __NR_utimensat utimensat attributes::utimensat [Fd Str Pointer Hex];
    __NR_truncate truncate space::truncate [Str Int];
    __NR_fallocate fallocate space::fallocate [Fd Hex Int Int];
    __NR_fsync fsync space::fsync [Fd];
    __NR_fdatasync fdatasync space::fsync [Fd];
    __NR_sync sync space::sync [];
    __NR_syncfs syncfs space::syncfs [Fd];
    __NR_statfs statfs space::statfs_path [Str Pointer];
    __NR_fstatfs fstatfs space::fstatfs [Fd Pointer];
    __NR_signalfd signalfd signalfd::signalfd [Fd Pointer Int];
    __NR_signalfd4 signalfd4 signalfd::signalfd4 [Fd Pointer Int Hex];
    __NR_eventfd eventfd event::eventfd [Int];
    __NR_eventfd2 eventfd2 event::eventfd2 [Int Hex];
    __NR_memfd_create memfd_create event::memfd_create [Str Hex];
    __NR_flock flock locks::flock [Fd Hex];
    __NR_select select select::select [Int Pointer Pointer Pointer Pointer];
    __NR_pselect6 pselect6 select::pselect6 [Int Pointer Pointer Pointer Pointer Pointer];
    __NR_sendfile sendfile splice::sendfile [Fd Fd Pointer Int];
    __NR_splice splice splice::splice [Fd Pointer Fd Pointer Int Hex];
    __NR_tee tee splice::tee [Fd Fd Int Hex];
    __NR_copy_file_range copy_file_range splice::copy_file_range [Fd Pointer Fd Pointer Int Hex];
    __NR_preadv preadv io::preadv [Fd Pointer Int Int];
    __NR_pwritev pwritev io::pwritev [Fd Pointer Int Int];
    __NR_preadv2 preadv2 io::preadv2 [Fd Pointer Int Int Int Hex];
    __NR_pwritev2 pwritev2 io::pwritev2 [Fd Pointer Int Int Int Hex];
    __NR_close_range close_range io::close_range [Int Int Hex];
    __NR_msync msync memory::msync [Pointer Hex Hex];
    __NR_mincore mincore memory::mincore [Pointer Hex Pointer];
    __NR_mlock mlock locking::mlock [Pointer Hex];
    __NR_mlock2 mlock2 locking::mlock2 [Pointer Hex Hex];
    __NR_munlock munlock locking::munlock [Pointer Hex];
    __NR_mlockall mlockall locking::mlockall [Hex];
    __NR_munlockall munlockall locking::munlockall [];
    __NR_link link names::link [Str Str];
    __NR_rename rename names::rename [Str Str];
    __NR_mknod mknod names::mknod [Str Hex Hex];
    __NR_linkat linkat names::linkat [Fd Str Fd Str Hex];
    __NR_renameat renameat names::renameat [Fd Str Fd Str];
    __NR_renameat2 renameat2 names::renameat2 [Fd Str Fd Str Hex];
    __NR_mknodat mknodat names::mknodat [Fd Str Hex Hex];
    __NR_umask umask context::umask [Hex];
    __NR_gettimeofday gettimeofday time::gettimeofday [Pointer Pointer];
    __NR_getrlimit getrlimit misc::getrlimit [Int Pointer];
    __NR_setrlimit setrlimit misc::setrlimit [Int Pointer];
    __NR_sysinfo sysinfo misc::sysinfo [Pointer];
    __NR_getuid getuid identity::getuid [];
    __NR_getgid getgid identity::getgid [];
    __NR_setuid setuid identity::setuid [Int];
    __NR_setgid setgid identity::setgid [Int];
    __NR_setpgid setpgid pid::setpgid [Int Int];
    __NR_geteuid geteuid identity::geteuid [];
    __NR_getegid getegid identity::getegid [];
    __NR_getppid getppid pid::getppid [];
    __NR_getpgrp getpgrp pid::getpgrp [];
    __NR_setsid setsid pid::setsid [];
    __NR_setreuid setreuid identity::setreuid [Int Int];
    __NR_setregid setregid identity::setregid [Int Int];
    __NR_getgroups getgroups identity::getgroups [Int Pointer];
    __NR_setgroups setgroups identity::setgroups [Int Pointer];
    __NR_setresuid setresuid identity::setresuid [Int Int Int];
    __NR_getresuid getresuid identity::getresuid [Pointer Pointer Pointer];
    __NR_setresgid setresgid identity::setresgid [Int Int Int];
    __NR_getresgid getresgid identity::getresgid [Pointer Pointer Pointer];
    __NR_getpgid getpgid pid::getpgid [Int];
    __NR_setfsuid setfsuid identity::setfsuid [Int];
    __NR_setfsgid setfsgid identity::setfsgid [Int];
    __NR_getsid getsid pid::getsid [Int];
    __NR_capget capget identity::capget [Pointer Pointer];
    __NR_capset capset identity::capset [Pointer Pointer];
    __NR_ptrace ptrace ptrace::ptrace [Int Int Pointer Pointer];
    __NR_rt_sigpending rt_sigpending signal::rt_sigpending [Pointer Int];
    __NR_rt_sigtimedwait rt_sigtimedwait sigqueue::rt_sigtimedwait [Pointer Pointer Pointer Int];
    __NR_rt_sigqueueinfo rt_sigqueueinfo sigqueue::rt_sigqueueinfo [Int Int Pointer];
    __NR_rt_sigsuspend rt_sigsuspend signal::rt_sigsuspend [Pointer Int];
    __NR_sigaltstack sigaltstack signal::sigaltstack [Pointer Pointer];
    __NR_prctl prctl prctl::prctl [Int Hex Hex Hex Hex];
    __NR_arch_prctl arch_prctl task::arch_prctl [Hex Pointer];
    __NR_sethostname sethostname uts::sethostname [Pointer Int];
    __NR_setdomainname setdomainname uts::setdomainname [Pointer Int];
    __NR_gettid gettid pid::gettid [];
    __NR_tkill tkill signal::tkill [Int Int];
    __NR_time time time::time_of_day [Pointer];
    __NR_futex futex futex::futex [Pointer Hex Int Pointer Pointer Int];
    __NR_sched_getaffinity sched_getaffinity super::scheduling::sched_getaffinity [Int Int Pointer];
    __NR_semtimedop semtimedop semaphores::semtimedop [Int Pointer Int Pointer];
    __NR_getdents64 getdents64 stat::getdents64 [Fd Pointer Int];
    __NR_set_tid_address set_tid_address task::set_tid_address [Pointer];
    __NR_getitimer getitimer super::timer::getitimer [Int Pointer];
    __NR_alarm alarm super::timer::alarm [Int];
    __NR_setitimer setitimer super::timer::setitimer [Int Pointer Pointer];
    __NR_getrusage getrusage super::timer::getrusage [Int Pointer];
    __NR_times times super::timer::times [Pointer];
    __NR_getpriority getpriority super::scheduling::getpriority [Int Int];
    __NR_setpriority setpriority super::scheduling::setpriority [Int Int Int];
    __NR_sched_setparam sched_setparam super::scheduling::sched_setparam [Int Pointer];
    __NR_sched_getparam sched_getparam super::scheduling::sched_getparam [Int Pointer];
    __NR_sched_setscheduler sched_setscheduler super::scheduling::sched_setscheduler [Int Int Pointer];
    __NR_sched_getscheduler sched_getscheduler super::scheduling::sched_getscheduler [Int];
    __NR_sched_get_priority_max sched_get_priority_max super::scheduling::priority_max [Int];
    __NR_sched_get_priority_min sched_get_priority_min super::scheduling::priority_min [Int];
    __NR_sched_rr_get_interval sched_rr_get_interval super::scheduling::rr_get_interval [Int Pointer];
    __NR_settimeofday settimeofday time::settimeofday [Pointer Pointer];
    __NR_sched_setaffinity sched_setaffinity super::scheduling::sched_setaffinity [Int Int Pointer];
    __NR_timer_create timer_create super::timer::timer_create [Int Pointer Pointer];
    __NR_timer_settime timer_settime super::timer::timer_settime [Int Hex Pointer Pointer];
    __NR_timer_gettime timer_gettime super::timer::timer_gettime [Int Pointer];
    __NR_timer_getoverrun timer_getoverrun super::timer::timer_getoverrun [Int];
    __NR_timer_delete timer_delete super::timer::timer_delete [Int];
    __NR_clock_settime clock_settime time::clock_settime [Int Pointer];
    __NR_getcpu getcpu super::scheduling::getcpu [Pointer Pointer];
    __NR_sched_setattr sched_setattr super::scheduling::sched_setattr [Int Pointer Hex];
    __NR_sched_getattr sched_getattr super::scheduling::sched_getattr [Int Pointer Int Hex];
    __NR_futex_waitv futex_waitv futex::futex_waitv [Pointer Int Hex Pointer Int];
    __NR_timerfd_create timerfd_create super::timerfd::timerfd_create [Int Hex];
    __NR_timerfd_settime timerfd_settime super::timerfd::timerfd_settime [Fd Hex Pointer Pointer];
    __NR_timerfd_gettime timerfd_gettime super::timerfd::timerfd_gettime [Fd Pointer];
    __NR_restart_syscall restart_syscall signal::restart_syscall [];
    __NR_clock_gettime clock_gettime time::clock_gettime [Int Pointer];
    __NR_clock_getres clock_getres time::clock_getres [Int Pointer];
    __NR_clock_nanosleep clock_nanosleep time::clock_nanosleep [Int Hex Pointer Pointer];
    __NR_exit_group exit_group task::exit_group [Int];
    __NR_tgkill tgkill signal::tgkill [Int Int Int];
    __NR_waitid waitid wait::waitid [Int Int Pointer Hex Pointer];
    __NR_ioprio_set ioprio_set ioprio::ioprio_set [Int Int Hex];
    __NR_ioprio_get ioprio_get ioprio::ioprio_get [Int Int];
    __NR_openat openat file::openat [Fd Str Hex Hex];
    __NR_mkdirat mkdirat names::mkdirat [Fd Str Hex];
    __NR_newfstatat newfstatat stat::newfstatat [Fd Str Pointer Hex];
    __NR_unlinkat unlinkat names::unlinkat [Fd Str Hex];
    __NR_readlinkat readlinkat names::readlinkat [Fd Str Pointer Int];
    __NR_symlinkat symlinkat names::symlinkat [Str Fd Str];
    __NR_faccessat faccessat stat::faccessat [Fd Str Hex];
    __NR_ppoll ppoll poll::ppoll [Pointer Int Pointer Pointer Int];
    __NR_get_robust_list get_robust_list futex::get_robust_list [Int Pointer Pointer];
    __NR_set_robust_list set_robust_list futex::set_robust_list [Pointer Int];
    __NR_dup3 dup3 file::dup3 [Fd Fd Hex];
    __NR_pipe2 pipe2 file::pipe2 [Pointer Hex];
    __NR_rt_tgsigqueueinfo rt_tgsigqueueinfo sigqueue::rt_tgsigqueueinfo [Int Int Int Pointer];
    __NR_process_vm_readv process_vm_readv process_vm::process_vm_readv [Int Pointer Int Pointer Int Hex];
    __NR_process_vm_writev process_vm_writev process_vm::process_vm_writev [Int Pointer Int Pointer Int Hex];
    __NR_prlimit64 prlimit64 misc::prlimit64 [Int Int Pointer Pointer];
    __NR_getrandom getrandom misc::getrandom [Pointer Int Hex];
    __NR_statx statx stat::statx_path [Fd Str Hex Hex Pointer];
    __NR_unshare unshare pidfd::unshare [Hex];
    __NR_setns setns pidfd::setns [Fd Hex];
    __NR_pidfd_send_signal pidfd_send_signal pidfd::pidfd_send_signal [Fd Int Pointer Hex];
    __NR_pidfd_open pidfd_open pidfd::pidfd_open [Int Hex];
    __NR_pidfd_getfd pidfd_getfd pidfd::pidfd_getfd [Fd Fd Hex];
    __NR_rseq rseq task::rseq [Pointer Int Hex Hex];
    __NR_clone3 clone3 clone::clone3 [Pointer Int];
    __NR_faccessat2 faccessat2 stat::faccessat2 [Fd Str Hex Hex];
}

/// The calls by number, built at compile time.
static BY_NUMBER: [Option<&Entry>; 512] = {
    let mut index: [Option<&Entry>; 512] = [None; 512];
    let mut at = 0;
    while at < TABLE.len() {
        index[TABLE[at].nr as usize] = Some(&TABLE[at]);
        at += 1;
    }
    index
};

/// The call with this number.
#[must_use]
pub fn find(nr: u64) -> Option<&'static Entry> {
    BY_NUMBER.get(usize::try_from(nr).ok()?).copied().flatten()
}
