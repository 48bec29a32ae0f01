//! A file whose text a function writes when somebody reads it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use linux_raw_sys::general::{POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM, S_IFREG};

use crate::errno::{Errno, Result};
use crate::fs::special::SpecialFile;
use crate::fs::transfer::{Sink, Source};
use crate::mm::frame;
use crate::sync::SpinLock;
use crate::task::credentials::Credentials;
use crate::task::current;

/// The most bytes that one write may have.
const WRITE_MAX: usize = 4095;

/// A text in the making, which may be long.
#[derive(Default)]
pub(super) struct Text(Vec<u8>);

impl Text {
    /// Adds bytes.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.try_reserve(bytes.len()).map_err(|_| Errno::ENOMEM)?;
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    /// How many bytes it has.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

/// Adds formatted text, or returns `ENOMEM`.
macro_rules! put {
    ($text:expr, $($arg:tt)*) => {
        core::fmt::Write::write_fmt($text, format_args!($($arg)*))
            .map_err(|_| $crate::errno::Errno::ENOMEM)?
    };
}
pub(super) use put;

type Show = Box<dyn Fn(&mut Text) -> Result<()> + Send + Sync>;
/// What is done about a write: its bytes, where in the file, and who opened it.
type Store = Box<dyn Fn(&[u8], u64, &Credentials) -> Result<()> + Send + Sync>;

/// The file. Each walk makes one of its own, so what is kept belongs to one open.
pub(super) struct TextFile {
    show: Show,
    store: Option<Store>,
    /// Asked when it is opened.
    guard: Option<Box<dyn Fn() -> Result<()> + Send + Sync>>,
    /// The text as it was when it was last read from its beginning.
    seen: SpinLock<Option<Arc<Vec<u8>>>>,
    opener: SpinLock<Option<Arc<Credentials>>>,
}

impl TextFile {
    /// A file that `show` writes.
    pub(super) fn new(show: impl Fn(&mut Text) -> Result<()> + Send + Sync + 'static) -> Self {
        TextFile {
            show: Box::new(show),
            store: None,
            guard: None,
            seen: SpinLock::new(None),
            opener: SpinLock::new(None),
        }
    }

    /// It can be written too.
    pub(super) fn stored_by(
        self,
        store: impl Fn(&[u8], u64, &Credentials) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        TextFile {
            store: Some(Box::new(store)),
            ..self
        }
    }

    /// Not everybody may open it.
    pub(super) fn guarded_by(self, guard: impl Fn() -> Result<()> + Send + Sync + 'static) -> Self {
        TextFile {
            guard: Some(Box::new(guard)),
            ..self
        }
    }

    fn text(&self, at: u64) -> Result<Arc<Vec<u8>>> {
        if at != 0
            && let Some(seen) = self.seen.lock().clone()
        {
            return Ok(seen);
        }
        frame::room()?;
        let mut text = Text::default();
        (self.show)(&mut text)?;
        let text = Arc::new(text.0);
        let old = self.seen.lock().replace(text.clone());
        drop(old);
        Ok(text)
    }
}

impl SpecialFile for TextFile {
    fn label(&self) -> String {
        String::new()
    }

    fn file_type(&self) -> u32 {
        S_IFREG
    }

    fn opened(&self, _flags: u32) -> Result<()> {
        if let Some(guard) = &self.guard {
            guard()?;
        }
        let old = self.opener.lock().replace(current().credentials());
        drop(old);
        Ok(())
    }

    fn read(&self, to: &mut dyn Sink, at: u64, _nonblocking: bool) -> Result<usize> {
        let text = self.text(at)?;
        let begin = usize::try_from(at).unwrap_or(usize::MAX).min(text.len());
        let bytes = &text[begin..];
        let bytes = &bytes[..bytes.len().min(to.room())];
        if bytes.is_empty() {
            return Ok(0);
        }
        match to.put(bytes) {
            0 => Err(Errno::EFAULT),
            done => Ok(done),
        }
    }

    fn write(&self, from: &mut dyn Source, at: u64, _nonblocking: bool) -> Result<usize> {
        let count = from.left();
        if self.store.is_none() && crate::mutant!("proc-swallows-writes") {
            return Ok(count);
        }
        let store = self.store.as_ref().ok_or(Errno::EIO)?;
        if count > WRITE_MAX {
            return Err(Errno::EINVAL);
        }
        frame::room()?;
        let mut bytes = vec![0; count];
        if from.take(&mut bytes) < count {
            return Err(Errno::EFAULT);
        }
        let opener = self.opener.lock().clone();
        store(
            &bytes,
            at,
            &opener.unwrap_or_else(|| current().credentials()),
        )?;
        Ok(count)
    }

    fn readiness(&self) -> u32 {
        POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM
    }

    fn seekable(&self) -> bool {
        true
    }
}
