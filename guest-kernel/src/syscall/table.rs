//! The system calls that there are, one line each.

use linux_raw_sys::general as nr;

use super::Call;
use crate::errno::Result;

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
    pub name: &'static str,
    /// What does it.
    pub handler: fn(&mut Call<'_>) -> Result<u64>,
    /// Its arguments.
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

table! {}

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
