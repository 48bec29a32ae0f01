//! Snapshots: machines between the records, to start a replay from.

use super::TraceError;
use super::chunk::{Chunk, Kind};
use super::format::Place;

/// A machine of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Where it was taken.
    pub cycle: u64,
    /// What [`machine::Machine::restore_sequence`] reads: each snapshot of the trace continues
    /// the one before it.
    pub sequence: Vec<Vec<u8>>,
}

/// The last snapshot of this cycle or an earlier one, among the chunks from `at`
/// on. What is damaged or cut off ends the search: whoever reads the records
/// meets it as well.
pub(super) fn before(bytes: &[u8], at: usize, cycle: u64) -> Result<Option<Snapshot>, TraceError> {
    let (mut sequence, mut last) = (Vec::new(), 0);
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
        last = place.cycle;
        sequence.push(snapshot.unpack()?.into_owned());
    }
    let snapshot = |sequence| Snapshot {
        cycle: last,
        sequence,
    };
    Ok(Some(sequence).filter(|some| !some.is_empty()).map(snapshot))
}
