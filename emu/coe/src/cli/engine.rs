//! `--engine`: what carries out instructions.

use clap::Args;

use crate::engine::Kind;

#[derive(Debug, Args)]
pub(super) struct EngineArguments {
    /// What carries out instructions; all do the same, some sooner
    #[arg(long, value_enum, value_name = "ENGINE", default_value_t)]
    pub(super) engine: Kind,
}
