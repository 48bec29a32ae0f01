//! The vocabulary of events: one table, used by the kernel, the trace, the
//! goldens, the assertions and the reports.
//!
//! A new event is one more entry of the table at the end of this file.

use crate::probe::ARGS;

/// What a field's 64 bits mean, and so how a reader writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// A task id; written as the task's name where it is known.
    Task,
    /// A signed decimal number.
    Int,
    /// A hexadecimal number: addresses, flags without a name.
    Hex,
    /// A Linux x86-64 system-call number; written as its name.
    Syscall,
    /// What a system call returned: a number, or -errno written as its name.
    Result,
    /// The flags of clone, written by name.
    CloneFlags,
    /// A signal number, written by name.
    Signal,
    /// A [`TaskState`].
    State,
    /// A [`FaultKind`].
    Fault,
    /// A [`FrameKind`].
    Frame,
    /// A wait status as `wait4` gives it.
    WaitStatus,
    /// UTF-8 text; it takes the last two arguments (address and length).
    Text,
}

/// One field of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldSpec {
    /// The name in traces and goldens.
    pub name: &'static str,
    /// What the value means.
    pub kind: FieldKind,
}

/// One event of the vocabulary.
#[derive(Clone, Copy, Debug)]
pub struct EventSpec {
    /// The number that the kernel writes to the probe.
    pub id: EventId,
    /// The name, Linux's where Linux has one.
    pub name: &'static str,
    /// The fields in the order of the probe's arguments.
    pub fields: &'static [FieldSpec],
}

impl EventSpec {
    /// True if the last two arguments are a text's address and length.
    #[must_use]
    pub fn has_text(&self) -> bool {
        matches!(self.fields.last(), Some(field) if field.kind == FieldKind::Text)
    }
}

/// An event that the kernel can emit: its id and its arguments.
pub trait Emit {
    /// The event's number.
    const ID: EventId;
    /// The probe's arguments, unused ones zero.
    fn args(&self) -> [u64; ARGS];
}

/// Enumerations that travel in an event as a number and are read as a word.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $value:literal $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u64)]
        pub enum $name { $($(#[$vmeta])* $variant = $value,)* }

        impl $name {
            /// The value with this number, if there is one.
            #[must_use]
            pub fn from_raw(raw: u64) -> Option<Self> {
                match raw { $($value => Some(Self::$variant),)* _ => None }
            }

            /// The word that stands for it in traces and goldens.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl From<$name> for u64 {
            fn from(value: $name) -> u64 { value as u64 }
        }
    };
}

words! {
    /// The state in which a task leaves the CPU, by Linux's letters.
    TaskState {
        /// Still runnable: preempted or yielded.
        Running = 0 "R",
        /// Sleeping; a signal wakes it.
        Interruptible = 1 "S",
        /// Sleeping; only what it waits for wakes it.
        Uninterruptible = 2 "D",
        /// Stopped by a signal.
        Stopped = 3 "T",
        /// Exited, not yet waited for.
        Zombie = 4 "Z",
        /// Exited and gone.
        Dead = 5 "X",
        /// The idle task.
        Idle = 6 "I",
    }
}

words! {
    /// What the kernel did about a page fault.
    FaultKind {
        /// A zeroed page was put in on first touch.
        Zero = 0 "zero",
        /// A page was filled from its file.
        File = 1 "file",
        /// A page that is shared since a fork was copied.
        Cow = 2 "cow",
        /// A page shared since a fork was taken over by its last owner.
        Reuse = 3 "reuse",
        /// A shared page was mapped that somebody else had already brought in.
        Shared = 4 "shared",
        /// The translation was in order by the time the kernel looked.
        Spurious = 5 "spurious",
        /// Nobody may touch that: a signal, or EFAULT in a system call.
        Bad = 6 "bad",
    }
}

words! {
    /// What a physical frame is taken for.
    FrameKind {
        /// A page of a task's address space.
        User = 0 "user",
        /// A page table of any level.
        PageTable = 1 "page_table",
        /// Part of a task's kernel stack.
        KernelStack = 2 "kernel_stack",
        /// The kernel's small objects.
        Slab = 3 "slab",
        /// File contents.
        PageCache = 4 "page_cache",
    }
}

/// Where a text lies in the kernel's memory while its event is emitted.
#[derive(Clone, Copy, Debug)]
pub struct TextAt {
    address: u64,
    len: u64,
}

impl From<&str> for TextAt {
    fn from(text: &str) -> Self {
        TextAt {
            address: text.as_ptr() as u64,
            len: text.len() as u64,
        }
    }
}

macro_rules! field_type {
    (Text) => {
        TextAt
    };
    ($kind:ident) => {
        u64
    };
}

macro_rules! put {
    ($args:ident, $at:ident, $value:expr, Text) => {
        $args[ARGS - 2] = $value.address;
        $args[ARGS - 1] = $value.len;
    };
    ($args:ident, $at:ident, $value:expr, $kind:ident) => {
        $args[$at] = $value;
        $at += 1;
    };
}

macro_rules! events {
    ($($(#[$meta:meta])* $variant:ident = $id:literal $name:literal {
        $($(#[$fmeta:meta])* $field:ident: $kind:ident,)*
    })*) => {
        /// The number of an event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum EventId { $($(#[$meta])* $variant = $id,)* }

        impl EventId {
            /// Every event, in the order of the table.
            pub const ALL: &'static [EventId] = &[$(EventId::$variant,)*];

            /// The event with this number, if there is one.
            #[must_use]
            pub fn from_raw(raw: u32) -> Option<Self> {
                match raw { $($id => Some(Self::$variant),)* _ => None }
            }

            /// Its entry in the table.
            #[must_use]
            pub fn spec(self) -> &'static EventSpec {
                match self { $(Self::$variant => &EventSpec {
                    id: EventId::$variant,
                    name: $name,
                    fields: &[$(FieldSpec { name: stringify!($field), kind: FieldKind::$kind },)*],
                },)* }
            }

            /// Its name in traces and goldens.
            #[must_use]
            pub fn name(self) -> &'static str {
                self.spec().name
            }
        }

        $(
            $(#[$meta])*
            #[derive(Clone, Copy, Debug)]
            pub struct $variant { $($(#[$fmeta])* pub $field: field_type!($kind),)* }

            impl Emit for $variant {
                const ID: EventId = EventId::$variant;

                #[allow(unused_assignments, unused_mut, reason = "nothing reads the index after the last field")]
                fn args(&self) -> [u64; ARGS] {
                    let mut args = [0; ARGS];
                    let mut at = 0;
                    $(put!(args, at, self.$field, $kind);)*
                    let _ = at;
                    args
                }
            }
        )*
    };
}

events! {
    /// A CPU leaves one task for another.
    SchedSwitch = 1 "sched_switch" {
        /// The task that leaves.
        prev: Task,
        /// The state in which it leaves.
        prev_state: State,
        /// The task that runs from here on.
        next: Task,
        /// CR3 from here on: the physical address of the top page table.
        cr3: Hex,
    }
    /// A sleeping task becomes runnable.
    SchedWakeup = 2 "sched_wakeup" {
        /// The task that was woken.
        task: Task,
    }
    /// A task was created; `clone` is the only place that does.
    SchedProcessFork = 3 "sched_process_fork" {
        /// Who called clone.
        parent: Task,
        /// The new task.
        child: Task,
        /// Its thread group.
        tgid: Int,
        /// What the two share, and the exit signal in the low byte.
        flags: CloneFlags,
    }
    /// A task runs another program from here on.
    SchedProcessExec = 4 "sched_process_exec" {
        /// The task, under the id that it has afterwards.
        task: Task,
        /// Its id before: another one if a non-leader took the leader's.
        old_pid: Int,
        /// The program's path.
        filename: Text,
    }
    /// A task exits.
    SchedProcessExit = 5 "sched_process_exit" {
        /// The task.
        task: Task,
        /// Its wait status.
        status: WaitStatus,
    }
    /// A task was waited for, or nobody will: its id is free.
    SchedProcessFree = 6 "sched_process_free" {
        /// The task.
        task: Task,
    }
    /// A task has a new name (kernel threads have theirs from the start).
    TaskRename = 7 "task_rename" {
        /// The task.
        task: Task,
        /// The name.
        comm: Text,
    }
    /// A task enters the kernel by a system call.
    SysEnter = 8 "sys_enter" {
        /// The number.
        nr: Syscall,
        /// First argument.
        a0: Hex,
        /// Second argument.
        a1: Hex,
        /// Third argument.
        a2: Hex,
        /// Fourth argument.
        a3: Hex,
    }
    /// A system call's result is on its way back to user mode.
    SysExit = 9 "sys_exit" {
        /// The number.
        nr: Syscall,
        /// The result.
        ret: Result,
    }
    /// A system call that this kernel does not have was asked for.
    SysMissing = 10 "sys_missing" {
        /// The number.
        nr: Syscall,
    }
    /// A page fault was handled.
    PageFault = 11 "page_fault" {
        /// What was done about it.
        kind: Fault,
        /// The faulting address.
        address: Hex,
        /// The instruction.
        ip: Hex,
        /// The error code that the CPU pushed.
        error: Hex,
    }
    /// A signal was sent.
    SignalGenerate = 12 "signal_generate" {
        /// The signal.
        sig: Signal,
        /// The task that it was sent to, or its group's leader.
        task: Task,
        /// si_code.
        code: Int,
    }
    /// A signal reaches its task: the handler is called, or the default done.
    SignalDeliver = 13 "signal_deliver" {
        /// The signal.
        sig: Signal,
        /// The handler's address; 0 is the default action.
        handler: Hex,
    }
    /// A frame was taken from the free ones.
    MmPageAlloc = 14 "mm_page_alloc" {
        /// Its number: physical address / 4096.
        pfn: Hex,
        /// What for.
        kind: Frame,
    }
    /// A frame went back to the free ones.
    MmPageFree = 15 "mm_page_free" {
        /// Its number: physical address / 4096.
        pfn: Hex,
        /// What it was used for.
        kind: Frame,
    }
    /// A hardware interrupt was taken.
    IrqHandlerEntry = 16 "irq_handler_entry" {
        /// The interrupt vector.
        vector: Hex,
    }
    /// How many of one kind of thing there were before init's first child began,
    /// and how many when init ends. What init itself holds is not counted, nor
    /// what has a name in a file system.
    Census = 25 "census" {
        /// Before.
        before: Int,
        /// At the end.
        after: Int,
        /// The kind of thing.
        what: Text,
    }
    /// The two numbers of a census differ: something was not given back.
    Leak = 26 "leak" {
        /// Before.
        before: Int,
        /// At the end.
        after: Int,
        /// The kind of thing.
        what: Text,
    }
    /// A request goes to the disk.
    BlockRqIssue = 30 "block_rq_issue" {
        /// Its first sector of 512 bytes.
        sector: Int,
        /// The bytes that it moves.
        bytes: Int,
        /// R: from the disk, W: onto it, F: what was written is to last.
        rwbs: Text,
    }
    /// The disk has done a request.
    BlockRqComplete = 31 "block_rq_complete" {
        /// Its first sector.
        sector: Int,
        /// 0, or an error.
        error: Result,
    }
    /// The kernel found itself in a state that it cannot leave.
    KernelPanic = 17 "kernel_panic" {
        /// Where and why.
        message: Text,
    }
    /// A task is about to look at a futex's word; it waits if the word is right.
    FutexLook = 35 "futex_look" {
        /// The word's address.
        uaddr: Hex,
    }
    /// A task has entered a futex's queue and does not sleep yet.
    FutexQueue = 36 "futex_queue" {
        /// The word's address.
        uaddr: Hex,
    }
    /// A waiter was taken out of a futex's queue.
    FutexWake = 37 "futex_wake" {
        /// The waiter.
        waiter: Task,
    }
    /// A waiter was moved to another futex's queue.
    FutexRequeue = 38 "futex_requeue" {
        /// The waiter.
        waiter: Task,
    }
    /// A task is lent a real-time priority by who waits for it, or the loan is
    /// taken back.
    SchedPiSetprio = 39 "sched_pi_setprio" {
        /// The task.
        task: Task,
        /// The priority that it is lent; 0 is none.
        priority: Int,
    }
}
