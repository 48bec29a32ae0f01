//! The compiler for hot code.
