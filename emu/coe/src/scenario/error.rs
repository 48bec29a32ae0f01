//! What is wrong with a scenario, shown at its place in the file.

use std::ops::Range;

use miette::Diagnostic;
use thiserror::Error;

use super::program::ProgramError;
use crate::exit::Code;

/// A mistake in a scenario, before it knows the file that it is in.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) label: String,
    pub(super) span: Range<usize>,
    pub(super) help: Option<String>,
    pub(super) code: Code,
}

impl Fault {
    pub(super) fn new(
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

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn program(span: &Range<usize>, error: &ProgramError) -> Self {
        let mut fault = Fault::new(span, error.to_string(), "named here");
        fault.help = error.help().map(|help| help.to_string());
        fault.code = error.exit_code();
        fault
    }
}

/// A mistake in a scenario, with file, line and column.
#[derive(Debug, Error, Diagnostic)]
#[error("{message}")]
pub struct ScenarioError {
    message: String,
    label: String,
    file: String,
    text: String,
    span: Range<usize>,
    #[help]
    help: Option<String>,
    code: Code,
}

impl ScenarioError {
    pub(super) fn new(fault: Fault, file: &str, text: &str) -> Self {
        ScenarioError {
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

    /// The scenario's file, as it was named.
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
