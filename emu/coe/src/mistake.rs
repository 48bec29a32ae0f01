//! What is wrong with a text that a person wrote, a scenario or a schedule,
//! shown at its place in the file.

use std::ops::Range;

use miette::Diagnostic;
use thiserror::Error;

use crate::exit::Code;

/// A mistake before it knows the file that it is in.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) message: String,
    pub(crate) label: String,
    pub(crate) span: Range<usize>,
    pub(crate) help: Option<String>,
    pub(crate) code: Code,
}

impl Fault {
    pub(crate) fn new(
        span: &Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        Fault {
            message: message.into(),
            label: label.into(),
            span: span.clone(),
            help: None,
            code: Code::BadInput,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A mistake with file, line and column.
#[derive(Debug, Error, Diagnostic)]
#[error("{message}")]
pub struct Mistake {
    message: String,
    label: String,
    file: String,
    text: String,
    span: Range<usize>,
    #[help]
    help: Option<String>,
    code: Code,
}

impl Mistake {
    pub(crate) fn new(fault: Fault, file: &str, text: &str) -> Self {
        Mistake {
            message: fault.message,
            label: fault.label,
            file: file.to_owned(),
            text: text.to_owned(),
            span: visible(&fault.span, text),
            help: fault.help,
            code: fault.code,
        }
    }

    /// The exit code that it ends `coe` with.
    #[must_use]
    pub fn exit_code(&self) -> Code {
        self.code
    }

    /// The place as bytes of the file.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// What is said under the place.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The file, as it was named.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// All of the file.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// The part of the span that lies on its first line: a caret under half a file
/// helps nobody.
fn visible(span: &Range<usize>, text: &str) -> Range<usize> {
    let start = span.start.min(text.len());
    let end = span.end.clamp(start, text.len());
    let line = text
        .get(start..end)
        .and_then(|part| part.find('\n'))
        .map_or(end, |at| start + at);
    start..line
}
