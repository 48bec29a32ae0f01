//! Anonymous memory that several tasks share.

use alloc::collections::BTreeMap;

use abi::event::FrameKind;

use super::backing::Backing;
use super::frame::{self, Frame};
use crate::count::{Counted, Type};
use crate::errno::{Errno, Result};
use crate::sync::SpinLock;

/// Pages that come into being when somebody first touches them.
pub struct SharedPages {
    len: u64,
    segment: bool,
    _counted: Counted,
    pages: SpinLock<BTreeMap<u64, Frame>>,
}

impl SharedPages {
    /// `len` bytes of zeros.
    #[must_use]
    pub fn new(len: u64) -> Self {
        SharedPages {
            len,
            segment: false,
            _counted: Counted::new(Type::SharedPages),
            pages: SpinLock::new(BTreeMap::new()),
        }
    }

    /// The same as a segment of System V shared memory.
    #[must_use]
    pub fn segment(len: u64) -> Self {
        SharedPages {
            segment: true,
            ..SharedPages::new(len)
        }
    }

    /// How many pages have come into being.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.pages.lock().len() as u64
    }
}

impl Backing for SharedPages {
    fn page(&self, index: u64) -> Result<Frame> {
        if index >= self.len.div_ceil(4096) {
            return Err(Errno::EINVAL);
        }
        let mut pages = self.pages.lock();
        if let Some(frame) = pages.get(&index) {
            return Ok(frame.clone());
        }
        let frame = frame::alloc(FrameKind::User)?;
        pages.insert(index, frame.clone());
        Ok(frame)
    }

    fn is_resident(&self, index: u64) -> bool {
        self.pages.lock().contains_key(&index)
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn is_segment(&self) -> bool {
        self.segment
    }
}
