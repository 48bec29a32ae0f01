//! One field's value in words.

use abi::event::{FaultKind, FieldKind, FrameKind, TaskState};

use crate::names::tasks::Tasks;
use crate::names::{clone_flags, errors, signals, syscalls};

/// The largest error number that a system call returns.
const MAX_ERRNO: u64 = 4095;

/// A value that needs to know nothing else.
pub(super) fn plain(kind: FieldKind, raw: u64) -> String {
    match kind {
        FieldKind::Hex => format!("{raw:#x}"),
        FieldKind::Syscall => syscalls::name(raw).map_or_else(|| raw.to_string(), str::to_owned),
        FieldKind::CloneFlags => clone_flags::name(raw),
        FieldKind::Signal => signals::name(raw),
        FieldKind::State => word(TaskState::from_raw(raw).map(TaskState::name), raw),
        FieldKind::Fault => word(FaultKind::from_raw(raw).map(FaultKind::name), raw),
        FieldKind::Frame => word(FrameKind::from_raw(raw).map(FrameKind::name), raw),
        FieldKind::WaitStatus => wait_status(raw),
        FieldKind::Task | FieldKind::Int | FieldKind::Result | FieldKind::Text => {
            raw.cast_signed().to_string()
        }
    }
}

fn word(name: Option<&'static str>, raw: u64) -> String {
    name.map_or_else(|| raw.to_string(), str::to_owned)
}

/// `3` for an exit status, `SIGSEGV` for a signal, `SIGSEGV+core` with a dump.
fn wait_status(raw: u64) -> String {
    let signal = raw & 0x7F;
    match (signal, raw & 0x80 != 0) {
        (0, _) => ((raw >> 8) & 0xFF).to_string(),
        (signal, false) => signals::name(signal),
        (signal, true) => format!("{}+core", signals::name(signal)),
    }
}

/// What a system call returned: an error's name, a task's name, a number, an address.
pub(super) fn result(nr: u64, raw: u64, tasks: &Tasks) -> String {
    let negated = raw.wrapping_neg();
    if (1..=MAX_ERRNO).contains(&negated) {
        return errors::name(negated)
            .map_or_else(|| format!("-{negated}"), |name| format!("-{name}"));
    }
    if raw != 0 && syscalls::returns_task(nr) {
        return tasks.name(raw);
    }
    if raw < 0x10_0000 {
        raw.to_string()
    } else {
        format!("{raw:#x}")
    }
}

/// A text that needs no quotes as it is, all else in quotes and escaped.
pub(super) fn text(bytes: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'=');
    let text = String::from_utf8_lossy(bytes);
    if !bytes.is_empty() && bytes.iter().all(plain) {
        text.into_owned()
    } else {
        format!("{text:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_where_they_must_be() {
        assert_eq!(text(b"/bin/cow-fork"), "/bin/cow-fork");
        assert_eq!(text(b"a b\n"), "\"a b\\n\"");
        assert_eq!(text(b""), "\"\"");
    }

    #[test]
    fn statuses_and_results_are_words() {
        assert_eq!(wait_status(0x8B), "SIGSEGV+core");
        assert_eq!(wait_status(0x2A00), "42");
        let tasks = Tasks::default();
        assert_eq!(result(0, 12, &tasks), "12");
        assert_eq!(result(9, 0x7F00_0000_0000, &tasks), "0x7f0000000000");
        assert_eq!(result(61, (-10i64) as u64, &tasks), "-ECHILD");
        assert_eq!(result(0, (-600i64) as u64, &tasks), "-600");
    }
}
