//! The local APIC (xAPIC): priorities, inter-processor interrupts to itself,
//! its timer, and the performance counter's entry.

use serde::{Deserialize, Serialize};

use super::CYCLES_PER_CRYSTAL_TICK;

/// Places of registers, as offsets into the APIC's page.
pub mod register {
    /// The APIC's id.
    pub const ID: u32 = 0x20;
    /// Version and number of LVT entries.
    pub const VERSION: u32 = 0x30;
    /// Task priority.
    pub const TPR: u32 = 0x80;
    /// Processor priority.
    pub const PPR: u32 = 0xA0;
    /// End of interrupt.
    pub const EOI: u32 = 0xB0;
    /// Logical destination.
    pub const LDR: u32 = 0xD0;
    /// Destination format.
    pub const DFR: u32 = 0xE0;
    /// Spurious vector and software enable.
    pub const SVR: u32 = 0xF0;
    /// In service, eight registers of 32 vectors each.
    pub const ISR: u32 = 0x100;
    /// Trigger mode.
    pub const TMR: u32 = 0x180;
    /// Requested.
    pub const IRR: u32 = 0x200;
    /// Error status.
    pub const ESR: u32 = 0x280;
    /// Interrupt command, low half; a write sends.
    pub const ICR_LOW: u32 = 0x300;
    /// Interrupt command, high half: the destination.
    pub const ICR_HIGH: u32 = 0x310;
    /// LVT entry of the timer; those of thermal sensor, performance counter,
    /// LINT0, LINT1 and errors follow.
    pub const LVT_TIMER: u32 = 0x320;
    /// LVT entry of the performance counter.
    pub const LVT_PMI: u32 = 0x340;
    /// LVT entry of errors: the last one.
    pub const LVT_ERROR: u32 = 0x370;
    /// The timer's initial count; a write starts it.
    pub const TIMER_INITIAL: u32 = 0x380;
    /// The timer's current count.
    pub const TIMER_CURRENT: u32 = 0x390;
    /// The timer's divider.
    pub const TIMER_DIVIDE: u32 = 0x3E0;
}

use register as reg;

const LVT_ENTRIES: usize = 6;
const LVT_INDEX_TIMER: usize = 0;
const LVT_INDEX_PMI: usize = 2;
const LVT_INDEX_LINT0: usize = 3;

const LVT_MASKED: u32 = 1 << 16;
const LVT_PERIODIC: u32 = 1 << 17;
const LVT_DELIVERY: u32 = 7 << 8;
/// Delivery mode: the vector comes from the 8259s.
const LVT_EXT_INT: u32 = 7 << 8;
/// Bits that software can change in each entry.
const LVT_WRITABLE: [u32; LVT_ENTRIES] = [0x300FF, 0x107FF, 0x107FF, 0x1A7FF, 0x1A7FF, 0x100FF];

/// Delivery modes, bits 8 to 10 of the interrupt command and of LVT entries.
const FIXED: u32 = 0;
const LOWEST: u32 = 1;
const NMI: u32 = 4;

const SVR_ENABLED: u32 = 1 << 8;
const ESR_ILLEGAL_VECTOR: u32 = 1 << 6;

/// An interrupt on its way from the IOAPIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// The vector.
    pub vector: u8,
    /// Whom it is for.
    pub destination: u8,
    /// `destination` is a mask of logical ids instead of an id.
    pub logical: bool,
    /// The line stays active until the guest has served it.
    pub level: bool,
}

/// 256 bits, one for each vector.
type Vectors = [u32; 8];

/// One CPU's local APIC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Apic {
    id: u8,
    tpr: u8,
    ldr: u8,
    dfr: u32,
    svr: u32,
    esr: u32,
    /// Errors since ESR was last written.
    errors: u32,
    icr: [u32; 2],
    isr: Vectors,
    tmr: Vectors,
    irr: Vectors,
    lvt: [u32; LVT_ENTRIES],
    timer: Timer,
    /// The 8259s' output, at the pin LINT0.
    lint0: bool,
    /// LINT0 hands the CPU an interrupt whose vector the 8259s know.
    ext_int: bool,
    /// An NMI waits for the CPU; there is never more than one.
    nmi: bool,
}

/// The timer: it counts crystal ticks, divided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Timer {
    initial: u32,
    /// The divider's register.
    divide: u32,
    /// The cycle at which it counted `from`; `None` when stopped.
    started: Option<u64>,
    /// The initial count, or what was left of it when the divider changed.
    from: u32,
}

impl Apic {
    /// The APIC of CPU `id` as firmware leaves it: LINT0 passes the 8259s'
    /// interrupts on ("virtual wire"), everything else is masked.
    #[must_use]
    pub fn new(id: u8) -> Self {
        let mut lvt = [LVT_MASKED; LVT_ENTRIES];
        lvt[LVT_INDEX_LINT0] = LVT_EXT_INT;
        Apic {
            id,
            tpr: 0,
            ldr: 0,
            dfr: u32::MAX,
            svr: 0xFF,
            esr: 0,
            errors: 0,
            icr: [0; 2],
            isr: [0; 8],
            tmr: [0; 8],
            irr: [0; 8],
            lvt,
            timer: Timer::default(),
            lint0: false,
            ext_int: false,
            nmi: false,
        }
    }

    /// Reads a register.
    #[must_use]
    pub fn read(&self, register: u32, now: u64) -> u32 {
        match register {
            reg::ID => u32::from(self.id) << 24,
            // An integrated APIC (0x14) with LVT_ENTRIES entries.
            reg::VERSION => 0x14 | ((LVT_ENTRIES as u32 - 1) << 16),
            reg::TPR => u32::from(self.tpr),
            reg::PPR => u32::from(self.priority()),
            reg::LDR => u32::from(self.ldr) << 24,
            reg::DFR => self.dfr,
            reg::SVR => self.svr,
            reg::ESR => self.esr,
            reg::ICR_LOW => self.icr[0],
            reg::ICR_HIGH => self.icr[1],
            reg::TIMER_INITIAL => self.timer.initial,
            reg::TIMER_CURRENT => self.timer.current(now),
            reg::TIMER_DIVIDE => self.timer.divide,
            _ => self.read_array(register),
        }
    }

    fn read_array(&self, register: u32) -> u32 {
        let index = (register / 0x10) as usize;
        match register & !0xF {
            _ if register & 0xF != 0 => 0,
            0x100..0x180 => self.isr[index - 0x10],
            0x180..0x200 => self.tmr[index - 0x18],
            0x200..0x280 => self.irr[index - 0x20],
            reg::LVT_TIMER..=reg::LVT_ERROR => self.lvt[index - 0x32],
            _ => 0,
        }
    }

    /// Writes a register. Returns the vector of a level-triggered interrupt
    /// that ended, for the IOAPIC.
    pub fn write(&mut self, register: u32, value: u32, now: u64) -> Option<u8> {
        match register {
            reg::ID => self.id = (value >> 24) as u8,
            reg::TPR => self.tpr = value as u8,
            reg::EOI => return self.end_of_interrupt(),
            reg::LDR => self.ldr = (value >> 24) as u8,
            reg::DFR => self.dfr = value | 0x0FFF_FFFF,
            reg::SVR => self.write_svr(value),
            reg::ESR => self.esr = core::mem::take(&mut self.errors),
            reg::ICR_LOW => self.send(value),
            reg::ICR_HIGH => self.icr[1] = value & 0xFF00_0000,
            reg::LVT_TIMER..=reg::LVT_ERROR if register & 0xF == 0 => {
                self.write_lvt((register / 0x10 - 0x32) as usize, value);
            }
            reg::TIMER_INITIAL => self.timer.start(value, now),
            reg::TIMER_DIVIDE => self.timer.set_divide(value & 0xB, now),
            _ => {}
        }
        None
    }

    /// Whether a write to this register may change when the timer expires.
    #[must_use]
    pub(crate) fn keeps_time_by(register: u32) -> bool {
        matches!(
            register,
            reg::SVR | reg::LVT_TIMER | reg::TIMER_INITIAL | reg::TIMER_DIVIDE
        )
    }

    fn write_svr(&mut self, value: u32) {
        self.svr = value & 0x1FF;
        if !self.enabled() {
            for entry in &mut self.lvt {
                *entry |= LVT_MASKED;
            }
            self.drive_lint0(self.lint0);
        }
    }

    /// The 8259s drive LINT0. What it does with their output is up to its
    /// entry; as a line of its own (delivery mode "fixed") a rise counts.
    pub(super) fn drive_lint0(&mut self, high: bool) {
        let rises = high && !core::mem::replace(&mut self.lint0, high);
        let entry = self.lvt[LVT_INDEX_LINT0];
        self.ext_int = high && entry & (LVT_MASKED | LVT_DELIVERY) == LVT_EXT_INT;
        if rises {
            self.raise(LVT_INDEX_LINT0);
        }
    }

    /// True if LINT0 passes the 8259s' interrupts on to the CPU.
    #[must_use]
    pub(super) fn takes_ext_int(&self) -> bool {
        self.lvt[LVT_INDEX_LINT0] & (LVT_MASKED | LVT_DELIVERY) == LVT_EXT_INT
    }

    /// True if the CPU is to take an interrupt: a vector of its own that its
    /// priority allows, or one that the 8259s know, which no priority holds back.
    #[inline(always)]
    #[must_use]
    pub fn interrupts(&self) -> bool {
        // Nearly always nothing is requested; this is asked at each boundary.
        let any = self
            .irr
            .iter()
            .fold(u32::from(self.ext_int), |any, bits| any | bits);
        any != 0 && self.may_interrupt()
    }

    #[inline(never)]
    fn may_interrupt(&self) -> bool {
        self.ext_int || self.pending().is_some()
    }

    fn write_lvt(&mut self, index: usize, value: u32) {
        let masked = if self.enabled() { 0 } else { LVT_MASKED };
        self.lvt[index] = value & LVT_WRITABLE[index] | masked;
        self.drive_lint0(self.lint0);
    }

    fn enabled(&self) -> bool {
        self.svr & SVR_ENABLED != 0
    }

    /// An inter-processor interrupt; with one CPU it reaches this one or nobody.
    fn send(&mut self, command: u32) {
        self.icr[0] = command & 0x000C_CFFF;
        let mode = (command >> 8) & 7;
        let to_me = match (command >> 18) & 3 {
            0 => self.is_meant((self.icr[1] >> 24) as u8, command & (1 << 11) != 0),
            1 | 2 => true,
            _ => false,
        };
        match mode {
            _ if !to_me => {}
            FIXED | LOWEST => self.request(command as u8, false),
            NMI => self.nmi = true,
            _ => {}
        }
    }

    fn is_meant(&self, destination: u8, logical: bool) -> bool {
        if destination == 0xFF {
            return true;
        }
        if !logical {
            return destination == self.id;
        }
        if self.dfr >> 28 == 0xF {
            return destination & self.ldr != 0;
        }
        destination >> 4 == self.ldr >> 4 && destination & self.ldr & 0xF != 0
    }

    /// Takes an interrupt message; true if it was meant for this APIC.
    pub fn accept(&mut self, message: Message) -> bool {
        let mine = self.is_meant(message.destination, message.logical);
        if mine {
            self.request(message.vector, message.level);
        }
        mine
    }

    /// Sets a vector's request bit, as an interrupt message does.
    pub fn request(&mut self, vector: u8, level: bool) {
        if !self.enabled() {
            return;
        }
        if vector < 16 {
            self.errors |= ESR_ILLEGAL_VECTOR;
            return;
        }
        set(&mut self.irr, vector, true);
        set(&mut self.tmr, vector, level);
    }

    /// Raises what an LVT entry says, if it is not masked.
    fn raise(&mut self, index: usize) {
        let entry = self.lvt[index];
        match (entry >> 8) & 7 {
            _ if entry & LVT_MASKED != 0 => {}
            FIXED => self.request(entry as u8, false),
            NMI => self.nmi = true,
            _ => {}
        }
    }

    /// The performance counter overflowed. Its entry masks itself, as on Intel.
    pub fn performance_interrupt(&mut self) {
        self.raise(LVT_INDEX_PMI);
        self.lvt[LVT_INDEX_PMI] |= LVT_MASKED;
    }

    /// The highest requested vector, if its class is above the processor's.
    #[inline]
    #[must_use]
    pub fn pending(&self) -> Option<u8> {
        highest(&self.irr).filter(|vector| vector >> 4 > self.priority() >> 4)
    }

    /// The CPU takes the pending interrupt: from requested to in service.
    pub fn acknowledge(&mut self) -> Option<u8> {
        let vector = self.pending()?;
        set(&mut self.irr, vector, false);
        set(&mut self.isr, vector, true);
        Some(vector)
    }

    /// Whether an NMI waits for the CPU.
    #[inline]
    #[must_use]
    pub fn nmi(&self) -> bool {
        self.nmi
    }

    /// The CPU takes the NMI.
    pub(crate) fn acknowledge_nmi(&mut self) {
        self.nmi = false;
    }

    fn end_of_interrupt(&mut self) -> Option<u8> {
        let vector = highest(&self.isr)?;
        set(&mut self.isr, vector, false);
        get(&self.tmr, vector).then_some(vector)
    }

    /// Processor priority: the higher of task priority and what is in service.
    fn priority(&self) -> u8 {
        let serving = highest(&self.isr).unwrap_or(0);
        if self.tpr >> 4 >= serving >> 4 {
            self.tpr
        } else {
            serving & 0xF0
        }
    }

    /// The cycle at which the timer expires next; `None` if it is stopped, or
    /// masked and without effect that could be seen.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        self.timer.expiry()
    }

    /// True if the timer's next expiry requests an interrupt.
    #[must_use]
    pub(crate) fn timer_interrupts(&self) -> bool {
        self.timer.expiry().is_some() && self.lvt[LVT_INDEX_TIMER] & LVT_MASKED == 0
    }

    /// Lets the timer expire if it is due.
    pub fn advance(&mut self, now: u64) {
        let Some(expiry) = self.timer.expiry().filter(|&expiry| expiry <= now) else {
            return;
        };
        let periodic = self.lvt[LVT_INDEX_TIMER] & LVT_PERIODIC != 0;
        self.timer.from = self.timer.initial;
        self.timer.started = if periodic {
            // Several periods may have passed while one long instruction ran.
            let period = self.timer.period();
            Some(expiry + (now - expiry) / period * period)
        } else {
            None
        };
        self.raise(LVT_INDEX_TIMER);
    }
}

impl Timer {
    fn start(&mut self, initial: u32, now: u64) {
        self.initial = initial;
        self.from = initial;
        self.started = (initial != 0).then_some(now);
    }

    /// Changes the divider; the ticks left stay the same.
    fn set_divide(&mut self, divide: u32, now: u64) {
        self.from = self.current(now);
        self.divide = divide;
        self.started = self.started.map(|_| now);
    }

    fn cycles_per_tick(&self) -> u64 {
        let code = (self.divide & 3) | ((self.divide >> 1) & 4);
        let divider = if code == 7 { 1 } else { 2 << code };
        divider * CYCLES_PER_CRYSTAL_TICK
    }

    /// Cycles from one expiry to the next; never zero while running.
    fn period(&self) -> u64 {
        (u64::from(self.initial) * self.cycles_per_tick()).max(1)
    }

    fn expiry(&self) -> Option<u64> {
        let left = u64::from(self.from) * self.cycles_per_tick();
        self.started.map(|started| started.saturating_add(left))
    }

    fn current(&self, now: u64) -> u32 {
        let Some(started) = self.started else {
            return 0;
        };
        let ticks = now.saturating_sub(started) / self.cycles_per_tick();
        self.from
            .saturating_sub(u32::try_from(ticks).unwrap_or(u32::MAX))
    }
}

fn set(vectors: &mut Vectors, vector: u8, on: bool) {
    let bit = 1 << (vector % 32);
    let word = &mut vectors[usize::from(vector / 32)];
    *word = if on { *word | bit } else { *word & !bit };
}

fn get(vectors: &Vectors, vector: u8) -> bool {
    vectors[usize::from(vector / 32)] & (1 << (vector % 32)) != 0
}

fn highest(vectors: &Vectors) -> Option<u8> {
    let word = vectors.iter().rposition(|&bits| bits != 0)?;
    Some((word as u32 * 32 + 31 - vectors[word].leading_zeros()) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enabled() -> Apic {
        let mut apic = Apic::new(0);
        apic.write(reg::SVR, 0x1FF, 0);
        apic
    }

    #[test]
    fn a_one_shot_timer_fires_once_and_on_time() {
        let mut apic = enabled();
        apic.write(reg::LVT_TIMER, 0x40, 0);
        apic.write(reg::TIMER_DIVIDE, 0b1011, 0);
        apic.write(reg::TIMER_INITIAL, 10, 1000);
        assert_eq!(apic.deadline(), Some(1400));
        assert_eq!(apic.read(reg::TIMER_CURRENT, 1200), 5);
        apic.advance(1399);
        assert_eq!(apic.pending(), None);
        apic.advance(1400);
        assert_eq!(apic.acknowledge(), Some(0x40));
        assert_eq!(apic.deadline(), None);
        assert_eq!(apic.read(reg::TIMER_CURRENT, 1500), 0);
    }

    #[test]
    fn a_periodic_timer_keeps_its_phase() {
        let mut apic = enabled();
        apic.write(reg::LVT_TIMER, 0x2_0040, 0);
        apic.write(reg::TIMER_DIVIDE, 0b0000, 0);
        apic.write(reg::TIMER_INITIAL, 1, 7);
        assert_eq!(apic.deadline(), Some(87));
        apic.advance(90);
        assert_eq!(
            apic.deadline(),
            Some(167),
            "a late look does not shift the next expiry"
        );
        apic.advance(167 + 80 + 5);
        assert_eq!(apic.deadline(), Some(327));
    }

    #[test]
    fn a_masked_timer_requests_nothing() {
        let mut apic = enabled();
        apic.write(reg::LVT_TIMER, LVT_MASKED | 0x40, 0);
        apic.write(reg::TIMER_INITIAL, 1, 0);
        apic.advance(1000);
        assert_eq!(apic.pending(), None);
    }

    #[test]
    fn each_divider_divides() {
        for (code, divider) in [
            (0, 2),
            (1, 4),
            (2, 8),
            (3, 16),
            (8, 32),
            (9, 64),
            (10, 128),
            (11, 1),
        ] {
            let mut apic = enabled();
            apic.write(reg::TIMER_DIVIDE, code, 0);
            apic.write(reg::TIMER_INITIAL, 1, 0);
            assert_eq!(apic.deadline(), Some(divider * 40), "code {code}");
        }
    }

    #[test]
    fn a_changed_divider_keeps_the_count() {
        let mut apic = enabled();
        apic.write(reg::TIMER_DIVIDE, 0b1011, 0);
        apic.write(reg::TIMER_INITIAL, 100, 0);
        apic.write(reg::TIMER_DIVIDE, 0, 400);
        assert_eq!(apic.read(reg::TIMER_CURRENT, 400), 100 - 10);
    }

    #[test]
    fn priorities_hold_back_lower_classes() {
        let mut apic = enabled();
        apic.request(0x41, false);
        apic.request(0x52, false);
        assert_eq!(apic.acknowledge(), Some(0x52));
        assert_eq!(
            apic.pending(),
            None,
            "0x41 is of a lower class than 0x52 in service"
        );
        apic.request(0x5F, false);
        assert_eq!(apic.pending(), None, "nor does the same class interrupt");
        apic.write(reg::EOI, 0, 0);
        assert_eq!(apic.acknowledge(), Some(0x5F));
        apic.write(reg::EOI, 0, 0);
        apic.write(reg::TPR, 0x40, 0);
        assert_eq!(apic.pending(), None);
        apic.write(reg::TPR, 0x30, 0);
        assert_eq!(apic.pending(), Some(0x41));
    }

    #[test]
    fn it_can_interrupt_itself() {
        let mut apic = enabled();
        apic.write(reg::ICR_LOW, 0x4_0077, 0);
        assert_eq!(apic.acknowledge(), Some(0x77));
        apic.write(reg::EOI, 0, 0);
        apic.write(reg::ICR_HIGH, 0x0100_0000, 0);
        apic.write(reg::ICR_LOW, 0x0077, 0);
        assert_eq!(apic.pending(), None, "that was for APIC 1");
    }

    #[test]
    fn the_performance_entry_masks_itself() {
        let mut apic = enabled();
        apic.write(reg::LVT_PMI, 0x99, 0);
        apic.performance_interrupt();
        assert_eq!(apic.acknowledge(), Some(0x99));
        assert_eq!(apic.read(reg::LVT_PMI, 0), LVT_MASKED | 0x99);
        apic.write(reg::EOI, 0, 0);
        apic.performance_interrupt();
        assert_eq!(apic.pending(), None);
    }

    #[test]
    fn a_disabled_apic_takes_nothing() {
        let mut apic = Apic::new(0);
        apic.request(0x55, false);
        assert_eq!(apic.pending(), None);
        apic.write(reg::LVT_TIMER, 0x40, 0);
        assert_eq!(apic.read(reg::LVT_TIMER, 0), LVT_MASKED | 0x40);
    }

    #[test]
    fn vectors_below_16_are_errors() {
        let mut apic = enabled();
        apic.write(reg::ICR_LOW, 0x4_0005, 0);
        assert_eq!(apic.pending(), None);
        apic.write(reg::ESR, 0, 0);
        assert_eq!(apic.read(reg::ESR, 0), ESR_ILLEGAL_VECTOR);
    }
}
