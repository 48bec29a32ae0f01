//! The digest: the whole state of a machine in 128 bits.

use core::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

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

/// Bytes of a frame's number and hash.
const ENTRY: usize = 24;

/// How many of them are hashed at once.
const BATCH: usize = 64;

impl Machine {
    /// The digest of the whole state: what [`Machine::save`] writes, hashed, with
    /// the hash of each frame in its place. Frames that have not changed since
    /// the last digest are not hashed again.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hash = Xxh3::new();
        hash.update(&self.state());
        // One by one they would cost more to hand over than to hash.
        let (mut batch, mut used) = ([[0; ENTRY]; BATCH], 0);
        self.ram().hashes().for_each(|(index, frame)| {
            let (number, contents) = batch[used].split_at_mut(8);
            number.copy_from_slice(&index.to_le_bytes());
            contents.copy_from_slice(&frame.to_le_bytes());
            used += 1;
            if used == BATCH {
                hash.update(batch.as_flattened());
                used = 0;
            }
        });
        hash.update(batch[..used].as_flattened());
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
