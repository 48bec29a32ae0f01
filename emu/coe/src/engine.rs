//! Which engine carries out a machine's instructions: made here, and nowhere
//! else. What is computed is the same with each, so no trace, golden or digest
//! ever says which it was.

use clap::ValueEnum;
use machine::engine::{Engine, Reference};
use threaded::Threaded;

use crate::Error;

/// The engines, as the command line names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// The fastest one that this coe has
    #[default]
    Auto,
    /// One instruction at a time, by the manual: what the others are judged by
    Reference,
    /// Decoded blocks of threaded code
    Threaded,
    /// Hot code compiled for this host, threaded code for the rest
    Jit,
}

impl Kind {
    /// A new engine of this kind.
    ///
    /// # Errors
    /// If this coe was built without it.
    pub fn engine(self) -> Result<Box<dyn Engine>, Error> {
        Ok(match self {
            Kind::Reference => Box::new(Reference::default()),
            Kind::Auto => compiler().unwrap_or_else(threaded),
            Kind::Threaded => threaded(),
            Kind::Jit => compiler().ok_or_else(no_compiler)?,
        })
    }

    /// Its word on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Auto => "auto",
            Kind::Reference => "reference",
            Kind::Threaded => "threaded",
            Kind::Jit => "jit",
        }
    }
}

fn threaded() -> Box<dyn Engine> {
    Box::new(Threaded::default())
}

/// The compiler, if this coe has one.
#[cfg(feature = "jit")]
fn compiler() -> Option<Box<dyn Engine>> {
    let jit = jit::Jit::new()?;
    Some(Box::new(jit))
}

#[cfg(not(feature = "jit"))]
fn compiler() -> Option<Box<dyn Engine>> {
    None
}

fn no_compiler() -> Error {
    Error::Usage {
        message: "--engine cannot be jit: this coe was built without the compiler".to_owned(),
        hint: "give auto, or build coe for an x86-64 or aarch64 host with its feature `jit`"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_has_its_name() {
        for kind in [Kind::Reference, Kind::Threaded] {
            assert_eq!(kind.engine().unwrap().name(), kind.name());
        }
        match Kind::Jit.engine() {
            Ok(engine) => assert_eq!(engine.name(), Kind::Auto.engine().unwrap().name()),
            Err(error) => assert!(error.to_string().contains("built without"), "{error}"),
        }
    }

    #[test]
    fn words_are_those_of_the_command_line() {
        for kind in Kind::value_variants() {
            let word = kind.to_possible_value().unwrap();
            assert_eq!(word.get_name(), kind.name());
        }
    }
}
