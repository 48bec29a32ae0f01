//! Snapshots: whole machines between the records, to start a replay from.

use super::TraceError;
use super::chunk::{Chunk, Kind};
use super::format::Place;

/// A whole machine of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Where it was taken.
    pub cycle: u64,
    /// What [`machine::Machine::restore`] reads.
    pub machine: Vec<u8>,
}

/// The last snapshot of this cycle or an earlier one, among the chunks from `at`
/// on. What is damaged or cut off ends the search: whoever reads the records
/// meets it as well.
pub(super) fn before(bytes: &[u8], at: usize, cycle: u64) -> Result<Option<Snapshot>, TraceError> {
    let mut best = None;
    let mut at = at;
    while let Ok(chunk) = Chunk::at(bytes, at) {
        at = chunk.end;
        if chunk.kind != Kind::Place {
            continue;
        }
        let place: Place = chunk.decode()?;
        if place.cycle > cycle {
            break;
        }
        let Ok(snapshot) = Chunk::at(bytes, at) else {
            break;
        };
        best = Some((place, snapshot));
    }
    let unpacked = |(place, chunk): (Place, Chunk<'_>)| {
        Ok(Snapshot {
            cycle: place.cycle,
            machine: chunk.unpack()?.into_owned(),
        })
    };
    best.map(unpacked).transpose()
}
