//! The door: where the kernel may choose, it works out its default and asks.

/// The interrupt with which the laboratory makes the kernel ask at once which
/// task runs next. No device has it.
pub const RESCHEDULE_VECTOR: u8 = 0xF8;

/// What is to be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum ChoiceKind {
    /// Which runnable task runs next; the answers are task ids.
    PickNext = 1,
    /// Which waiter of a queue wakes first; the answers are task ids.
    WakeFirst = 2,
    /// Whether an allocation fails: 0 no (the default), 1 yes.
    AllocFail = 3,
}

impl ChoiceKind {
    /// Every kind, in the order of its number.
    pub const ALL: [ChoiceKind; 3] = [
        ChoiceKind::PickNext,
        ChoiceKind::WakeFirst,
        ChoiceKind::AllocFail,
    ];

    /// The kind with this number, if there is one.
    #[must_use]
    pub fn from_raw(raw: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u32 == raw)
    }

    /// The name in traces and scripts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ChoiceKind::PickNext => "pick_next",
            ChoiceKind::WakeFirst => "wake_first",
            ChoiceKind::AllocFail => "alloc_fail",
        }
    }
}
