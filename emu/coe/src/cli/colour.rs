//! Whether what coe says is coloured: on a terminal, unless the environment
//! says otherwise.

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal};

use annotate_snippets::Renderer;

/// The renderer of errors, which go to stderr.
pub(super) fn renderer() -> Renderer {
    if wanted(io::stderr().is_terminal(), &|name| env::var_os(name)) {
        Renderer::styled()
    } else {
        Renderer::plain()
    }
}

/// `NO_COLOR` (no-color.org) is the strongest, then `CLICOLOR_FORCE`, then
/// `CLICOLOR=0` (bixense.com/clicolors); help and usage follow the same rules.
fn wanted(terminal: bool, variable: &dyn Fn(&str) -> Option<OsString>) -> bool {
    let value = |name| variable(name).filter(|value| !value.is_empty());
    if value("NO_COLOR").is_some() {
        return false;
    }
    if value("CLICOLOR_FORCE").is_some_and(|force| force != "0") {
        return true;
    }
    if value("CLICOLOR").is_some_and(|colour| colour == "0") {
        return false;
    }
    terminal && value("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(terminal: bool, environment: &[(&str, &str)]) -> bool {
        let variable = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        wanted(terminal, &variable)
    }

    #[test]
    fn a_terminal_has_colours_and_a_pipe_has_none() {
        assert!(decided(true, &[]));
        assert!(!decided(false, &[]));
        assert!(!decided(true, &[("TERM", "dumb")]));
    }

    #[test]
    fn the_environment_decides_otherwise() {
        assert!(!decided(true, &[("NO_COLOR", "1")]));
        assert!(decided(true, &[("NO_COLOR", "")]), "empty means not set");
        assert!(!decided(true, &[("CLICOLOR", "0")]));
        assert!(decided(false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!decided(false, &[("CLICOLOR_FORCE", "0")]));
        let both = [("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")];
        assert!(!decided(true, &both));
    }
}
