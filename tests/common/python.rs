//! Judges that are written in Python, in a virtual environment of their own.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::root;

/// Runs a script of tests/python and gives what it printed; nothing if the
/// environment is missing, which in CI is a failure.
pub(crate) fn judge(script: &str, arguments: &[&Path]) -> Option<String> {
    let python = environment();
    if !python.is_file() {
        let missing = format!(
            "{} is missing; make it with python3 -m venv and pip install -r tests/python/requirements.txt",
            python.display()
        );
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
        eprintln!("skipped: {missing}");
        return None;
    }
    let mut command = Command::new(python);
    command.arg(root().join("tests/python").join(script));
    let output = command.args(arguments).output().expect("python starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {said}");
    Some(String::from_utf8(output.stdout).expect("it prints text"))
}

/// The environment's interpreter: `python` in cargo's target folder.
fn environment() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("../python/bin/python")
}
