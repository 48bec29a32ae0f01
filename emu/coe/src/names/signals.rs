//! The names of Linux's x86-64 signals.

/// Signal n is the n-th name.
const NAMES: [&str; 32] = [
    "0",
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// The signal's name; real-time signals and numbers that are none come as numbers.
#[must_use]
pub fn name(signal: u64) -> String {
    match usize::try_from(signal).ok().and_then(|at| NAMES.get(at)) {
        Some(name) => (*name).to_owned(),
        None => signal.to_string(),
    }
}

/// The signal with this name.
#[must_use]
pub fn from_name(name: &str) -> Option<u8> {
    let at = NAMES.iter().skip(1).position(|known| *known == name)?;
    u8::try_from(at + 1).ok()
}

/// Every name, for suggestions.
pub fn all() -> impl Iterator<Item = &'static str> {
    NAMES.into_iter().skip(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_each_others_inverse() {
        for number in 1..=31 {
            assert_eq!(from_name(&name(u64::from(number))), Some(number));
        }
        assert_eq!(from_name("SIGSEGV"), Some(11));
        assert_eq!(from_name("SIGNONE"), None);
        assert_eq!(name(40), "40");
    }
}
