//! Writes a trace while its machine runs.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use machine::{Event, Machine, Saved};
use serde::Serialize;

use super::TraceError;
use super::chunk::{self, Kind};
use super::encode::Records;
use super::format::{Header, Place, Record};
use super::packed::chunk_of;
use super::preamble::{self, Version, WriterName};
use crate::Error;
use crate::images::{Setup, cpio};
use crate::input::Arrival;
use crate::run::{Finished, Watcher};

/// Records are put into a chunk when there are so many bytes of them.
const CHUNK: usize = 256 << 10;

/// When machines are put into the trace.
#[derive(Debug)]
struct Snapshots {
    every: u64,
    /// The next one is due at this cycle.
    due: u64,
    /// What the next one continues.
    saved: Saved,
}

/// A trace that is being written, under a name that says so.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    temporary: PathBuf,
    file: BufWriter<File>,
    records: Records,
    snapshots: Option<Snapshots>,
    /// The first failure; the machine cannot be told, so it is kept for the end.
    failed: Option<Error>,
}

impl Writer {
    /// Starts the trace of a run of this setup.
    ///
    /// # Errors
    /// If the host does not let us write there.
    pub fn create(path: &Path, setup: &Setup) -> Result<Writer, Error> {
        let mut name = path.as_os_str().to_owned();
        name.push(".incomplete");
        let temporary = PathBuf::from(name);
        let file = File::create(&temporary).map_err(|source| Error::write(&temporary, source))?;
        let mut writer = Writer {
            path: path.to_owned(),
            temporary,
            file: BufWriter::new(file),
            records: Records::default(),
            snapshots: None,
            failed: None,
        };
        writer.put(&preamble::write(Version::CURRENT, &WriterName::own()))?;
        writer.chunk(Kind::Header, &encode(&Header::new(setup))?)?;
        writer.chunk(Kind::Kernel, &setup.kernel)?;
        if let Some(initrd) = &setup.initrd {
            writer.initrd(initrd)?;
        }
        if let Some(disk) = &setup.disk {
            writer.chunk(Kind::Disk, disk)?;
        }
        Ok(writer)
    }

    /// Puts what the machine is into the trace at the first pause at or after each
    /// multiple of `every` cycles.
    #[must_use]
    pub fn with_snapshots(self, every: NonZeroU64) -> Writer {
        let every = every.get();
        let snapshots = Snapshots {
            every,
            due: every,
            saved: Saved::default(),
        };
        Writer {
            snapshots: Some(snapshots),
            ..self
        }
    }

    /// Ends the trace and gives it its name.
    ///
    /// # Errors
    /// If anything could not be written, now or before.
    pub fn finish(mut self, finished: &Finished) -> Result<(), Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.flush()?;
        self.chunk(Kind::End, &encode(finished)?)?;
        let failed = |source| Error::write(&self.temporary, source);
        self.file.flush().map_err(failed)?;
        self.file.get_ref().sync_all().map_err(failed)?;
        std::fs::rename(&self.temporary, &self.path)
            .map_err(|source| Error::write(&self.path, source))
    }

    fn record(&mut self, record: &Record) -> Result<(), Error> {
        self.records.add(record)?;
        self.flush_if_full()
    }

    fn flush_if_full(&mut self) -> Result<(), Error> {
        if self.records.bytes().len() < CHUNK {
            return Ok(());
        }
        self.flush()
    }

    /// Puts the machine into the trace if it is time to.
    fn snapshot(&mut self, machine: &Machine) -> Result<(), Error> {
        let cycle = machine.cycle();
        let Some(snapshots) = self.snapshots.as_mut().filter(|s| s.due <= cycle) else {
            return Ok(());
        };
        snapshots.due = (cycle / snapshots.every + 1).saturating_mul(snapshots.every);
        let changes = machine.save_changes(&mut snapshots.saved);
        self.flush()?;
        self.chunk(Kind::Place, &encode(&Place { cycle })?)?;
        self.chunk(Kind::Snapshot, &changes)
    }

    fn flush(&mut self) -> Result<(), Error> {
        if self.records.bytes().is_empty() {
            return Ok(());
        }
        let chunk = chunk::pack(Kind::Records, self.records.bytes());
        self.records.clear();
        self.put(&chunk?)?;
        // A recording that is killed keeps what has left this process.
        let failed = |source| Error::write(&self.temporary, source);
        self.file.flush().map_err(failed)
    }

    /// Embedded files have chunks of their own, made when coe was built:
    /// packing them costs more than a short run.
    fn initrd(&mut self, initrd: &[u8]) -> Result<(), Error> {
        let mut done = 0;
        for place in cpio::places(initrd) {
            if let Some(chunk) = chunk_of(Kind::Initrd as u8, &initrd[place.clone()]) {
                self.chunk(Kind::Initrd, &initrd[done..place.start])?;
                self.put(chunk)?;
                done = place.end;
            }
        }
        if done < initrd.len() {
            self.chunk(Kind::Initrd, &initrd[done..])?;
        }
        Ok(())
    }

    fn chunk(&mut self, kind: Kind, raw: &[u8]) -> Result<(), Error> {
        let bytes = chunk::pack(kind, raw)?;
        self.put(&bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file
            .write_all(bytes)
            .map_err(|source| Error::write(&self.temporary, source))
    }

    fn keep(&mut self, result: Result<(), Error>) {
        if let Err(error) = result {
            self.failed.get_or_insert(error);
        }
    }
}

impl Watcher for Writer {
    fn event(&mut self, event: &Event) {
        let result = match self.records.add_event(event) {
            Ok(()) => self.flush_if_full(),
            Err(error) => Err(error.into()),
        };
        self.keep(result);
    }

    fn arrived(&mut self, arrival: &Arrival) {
        let result = self.record(&Record::Arrival(arrival.clone()));
        self.keep(result);
    }

    fn pause(&mut self, machine: &Machine) {
        let digest = machine.digest().to_string();
        let result = self.record(&Record::Digest {
            cycle: machine.cycle(),
            digest,
        });
        let result = result
            .and_then(|()| self.snapshot(machine))
            .and_then(|()| self.flush());
        self.keep(result);
    }
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, TraceError> {
    postcard::to_stdvec(value).map_err(|_| TraceError::Encode)
}
