//! The exit codes of `coe`, all of them, in one place. Scripts may rely on them.
//!
//! The guest's own status passes through: 0 to 255 as its program exited, and
//! 128 + n if signal n killed it. `coe`'s own outcomes lie between 120 and 127.

use std::process::ExitCode;

/// What `coe` exits with when it is not the guest's own status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// All went well.
    Success = 0,
    /// The machine stopped: a triple fault, an instruction that it does not
    /// have, or everything asleep for ever; or a person left it with Ctrl-].
    Stopped = 120,
    /// The guest's kernel panicked.
    Panic = 121,
    /// A replay went another way than its recording.
    Diverged = 122,
    /// An expectation or a golden differs.
    Failed = 123,
    /// The run reached its limit of cycles.
    Limit = 124,
    /// `coe` was called wrongly, or failed itself: the host's files, its memory.
    Own = 125,
    /// Bad input: a scenario, a program, a kernel or a trace that cannot be used.
    BadInput = 126,
    /// A program or a file was not found.
    NotFound = 127,
}

impl Code {
    /// Every code of coe's own, with what it means.
    pub const ALL: [(Code, &'static str); 8] = [
        (
            Code::Stopped,
            "the machine stopped: triple fault, missing instruction, or all asleep for ever; or left with Ctrl-]",
        ),
        (Code::Panic, "the guest's kernel panicked"),
        (
            Code::Diverged,
            "a replay went another way than its recording",
        ),
        (Code::Failed, "an expectation or a golden differs"),
        (Code::Limit, "the limit of cycles was reached"),
        (Code::Own, "wrong usage, or coe itself failed"),
        (
            Code::BadInput,
            "bad input: scenario, program, kernel, memory size or trace",
        ),
        (Code::NotFound, "a program or a file was not found"),
    ];

    /// The codes as the help text shows them.
    #[must_use]
    pub fn help() -> String {
        let mut text = String::from(
            "Exit codes:\n  0-255  the guest's own status; 128+N if signal N killed its program\n",
        );
        for (code, meaning) in Self::ALL {
            text.push_str(&format!("  {}    {meaning}\n", code as u8));
        }
        text
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> ExitCode {
        ExitCode::from(code as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn codes_are_the_documented_numbers() {
        let numbers: Vec<u8> = Code::ALL.iter().map(|(code, _)| *code as u8).collect();
        assert_eq!(numbers, (120..=127).collect::<Vec<u8>>());
        assert!(Code::help().contains("  122    a replay went another way"));
    }
}
