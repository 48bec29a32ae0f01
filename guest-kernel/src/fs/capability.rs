//! Capabilities: the rights into which root's power is divided. Files ask for
//! them first of all rooms, so the list lies here.

use core::ops::{BitAnd, BitOr};

macro_rules! capabilities {
    ($($name:ident $number:literal)*) => {
        /// One capability, with Linux's number.
        #[allow(missing_docs, reason = "the names are Linux's")]
        #[allow(dead_code, reason = "the list is kept whole")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Cap { $($name = $number,)* }

        impl Cap {
            /// The capability with this number.
            pub fn new(number: u64) -> Option<Self> {
                match number {
                    $($number => Some(Cap::$name),)*
                    _ => None,
                }
            }
        }
    };
}

capabilities! {
    Chown 0 DacOverride 1 DacReadSearch 2 Fowner 3 Fsetid 4 Kill 5 Setgid 6 Setuid 7 Setpcap 8
    LinuxImmutable 9 NetBindService 10 NetBroadcast 11 NetAdmin 12 NetRaw 13 IpcLock 14
    IpcOwner 15 SysModule 16 SysRawio 17 SysChroot 18 SysPtrace 19 SysPacct 20 SysAdmin 21
    SysBoot 22 SysNice 23 SysResource 24 SysTime 25 SysTtyConfig 26 Mknod 27 Lease 28
    AuditWrite 29 AuditControl 30 Setfcap 31 MacOverride 32 MacAdmin 33 Syslog 34 WakeAlarm 35
    BlockSuspend 36 AuditRead 37 Perfmon 38 Bpf 39 CheckpointRestore 40
}

/// How many there are.
pub const COUNT: u32 = 41;

/// A set of capabilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapSet(u64);

impl CapSet {
    /// None.
    pub const EMPTY: CapSet = CapSet(0);
    /// All that there are.
    pub const FULL: CapSet = CapSet((1 << COUNT) - 1);
    /// Those that a change of the file-system user id turns on and off.
    pub const FILES: CapSet = CapSet(
        1 << Cap::Chown as u64
            | 1 << Cap::Mknod as u64
            | 1 << Cap::DacOverride as u64
            | 1 << Cap::DacReadSearch as u64
            | 1 << Cap::Fowner as u64
            | 1 << Cap::Fsetid as u64
            | 1 << Cap::MacOverride as u64
            | 1 << Cap::LinuxImmutable as u64,
    );

    /// The set with these bits; those without a meaning are dropped.
    pub fn from_bits(bits: u64) -> Self {
        CapSet(bits & Self::FULL.0)
    }

    /// Its bits.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// True if it holds the capability.
    pub fn has(self, cap: Cap) -> bool {
        self.0 >> cap as u32 & 1 != 0
    }

    /// True if all of it lies in the other set.
    pub fn is_within(self, other: CapSet) -> bool {
        self.0 & !other.0 == 0
    }

    /// Without those of another set.
    pub fn without(self, other: CapSet) -> Self {
        CapSet(self.0 & !other.0)
    }
}

impl From<Cap> for CapSet {
    fn from(cap: Cap) -> Self {
        CapSet(1 << cap as u32)
    }
}

impl BitAnd for CapSet {
    type Output = CapSet;

    fn bitand(self, other: CapSet) -> CapSet {
        CapSet(self.0 & other.0)
    }
}

impl BitOr for CapSet {
    type Output = CapSet;

    fn bitor(self, other: CapSet) -> CapSet {
        CapSet(self.0 | other.0)
    }
}
