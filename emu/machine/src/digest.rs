//! The digest: the whole state of a machine in 128 bits.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::bus::entry;
use crate::machine::Machine;

/// A hash of everything that a machine knows. Two machines with the same digest
/// go on in the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub u128);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Machine {
    /// The digest of the whole state: what [`Machine::save`] writes, hashed, with
    /// the hashes of the parts of RAM in its place. A part's hash is that of its frames'
    /// hashes. What has not changed since the last digest is not hashed again.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hash = Xxh3::new();
        hash.update(&self.state());
        // One by one they would cost more to hand over than to hash.
        let parts: Vec<_> = self
            .ram()
            .hashes()
            .map(|(part, hash)| entry(part, hash))
            .collect();
        hash.update(parts.as_flattened());
        if let (Some(state), Some(disk)) = (self.disk_state(), self.disk()) {
            hash.update(b"disk");
            hash.update(&state);
            for (index, bytes) in disk.pages() {
                hash.update(&index.to_le_bytes());
                hash.update(bytes);
            }
        }
        Digest(hash.digest128())
    }
}
