//! The laboratory around the machine.
//!
//! Data flows one way: a [`scenario`] becomes a [`images::Setup`], a machine
//! [`run`]s it, its events become lines ([`events`]), counters, a [`golden`] or a
//! [`trace`]. Live [`input`] gets in where it stands still ([`drive`]). A [`replay`] is the same machine with its inputs from the trace.
//! [`cli`] puts these together and nobody imports it.

pub mod check;
pub mod cli;
pub mod diff;
pub mod drive;
pub mod embedded;
pub mod engine;
pub mod error;
pub mod events;
pub mod exit;
pub mod golden;
pub mod images;
pub mod input;
pub mod mistake;
pub mod names;
pub mod replay;
pub mod report;
pub mod run;
pub mod scenario;
pub mod schedule;
pub mod suite;
pub mod symbols;
pub mod timeline;
pub mod trace;

pub use error::Error;
