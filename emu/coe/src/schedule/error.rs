//! What is wrong with a schedule, shown at its place in the file.

use std::ops::Range;

use miette::Diagnostic;
use thiserror::Error;

/// A mistake in a schedule, with file, line and column.
#[derive(Debug, Error, Diagnostic)]
#[error("{message}")]
pub struct ScheduleError {
    message: String,
    label: String,
    file: String,
    text: String,
    span: Range<usize>,
    #[help]
    help: Option<String>,
}

/// A mistake before it knows the file that it is in.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) label: String,
    pub(super) help: Option<String>,
}

impl Fault {
    pub(super) fn new(
        span: &Range<usize>,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        Fault {
            span: span.clone(),
            message: message.into(),
            label: label.into(),
            help: None,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl ScheduleError {
    pub(super) fn new(fault: Fault, file: &str, text: &str) -> Self {
        ScheduleError {
            message: fault.message,
            label: fault.label,
            file: file.to_owned(),
            text: text.to_owned(),
            span: fault.span,
            help: fault.help,
        }
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

    /// The schedule's file, as it was named.
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
