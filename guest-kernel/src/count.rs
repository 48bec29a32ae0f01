//! How many objects of each type are alive: the census asks (`task::census`).

use core::sync::atomic::{AtomicI64, Ordering};

macro_rules! types {
    ($($(#[$meta:meta])* $variant:ident $name:literal,)*) => {
        /// The types that are counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Type { $($(#[$meta])* $variant,)* }

        impl Type {
            /// Every type, in the order in which the census tells them.
            pub const ALL: &'static [Type] = &[$(Type::$variant,)*];

            /// The name in the census.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Type::$variant => $name,)* }
            }
        }
    };
}

types! {
    /// Tasks, zombies included.
    Task "tasks",
    /// Thread groups.
    Group "groups",
    /// Numbers of tasks in use.
    Pid "pids",
    /// Address spaces.
    Mm "mms",
    /// Descriptor tables.
    Files "file tables",
    /// Working directories with their roots and masks.
    Fs "fs contexts",
    /// Tables of signal handlers.
    Handlers "handler tables",
    /// Open file descriptions.
    File "open files",
    /// Inodes, whether they have a name or not.
    Inode "inodes",
    /// Shared memory without a name.
    SharedPages "shared memories",
    /// Tasks in a queue of a futex.
    FutexWaiter "futex waiters",
    /// Parents that wait for a vfork child.
    Vfork "vforks",
    /// Lists of what tasks take back from semaphores at their end.
    UndoList "undo lists",
    /// Who tasks are.
    Credentials "credentials",
    /// Sets of namespaces.
    Namespaces "namespaces",
    /// User namespaces.
    UserNamespace "user namespaces",
    /// UTS namespaces.
    UtsNamespace "UTS namespaces",
    /// IPC namespaces. What they keep until it is removed is not counted.
    IpcNamespace "IPC namespaces",
    /// PID namespaces.
    PidNamespace "PID namespaces",
    /// Mount namespaces.
    MountNamespace "mount namespaces",
    /// Mounts that no tree holds which init sees.
    Mount "mounts",
    /// POSIX timers.
    Timer "timers",
}

static ALIVE: [AtomicI64; Type::ALL.len()] = [const { AtomicI64::new(0) }; Type::ALL.len()];

/// How many of a type are alive.
#[must_use]
pub fn alive(what: Type) -> i64 {
    ALIVE[what as usize].load(Ordering::Relaxed)
}

/// The part of an object that counts it, for as long as it lives.
#[derive(Debug)]
pub struct Counted(Type);

impl Counted {
    /// One more of this type.
    #[must_use]
    pub fn new(what: Type) -> Self {
        ALIVE[what as usize].fetch_add(1, Ordering::Relaxed);
        Counted(what)
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        Counted::new(self.0)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        ALIVE[self.0 as usize].fetch_sub(1, Ordering::Relaxed);
    }
}
