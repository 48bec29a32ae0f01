//! Real mode, protected mode with code of 16 and 32 bits, and the ways between the modes, by
//! small assembled programs whose results the manual fixes.

mod pc;

mod decimal;
mod environment;
mod gates;
mod real;
mod rings;
mod trampoline;
