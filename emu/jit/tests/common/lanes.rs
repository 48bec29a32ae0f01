//! Random instructions on vectors of integers, and others that move lanes.

use iced_x86::code_asm::*;

use super::{Made, Maker};

const X: [AsmRegisterXmm; 6] = [xmm0, xmm1, xmm2, xmm3, xmm4, xmm5];

macro_rules! one_of {
    ($self:ident, $a:expr, $b:expr; $($name:ident)*) => {{
        let all = [$(stringify!($name)),*];
        let chosen = all[$self.random.below(all.len() as u64) as usize];
        $(if chosen == stringify!($name) { return $self.a.$name($a, $b); })*
        Ok(())
    }};
}

impl Maker<'_> {
    pub(super) fn lanes(&mut self) -> Made {
        let x = X[self.random.below(6) as usize];
        let y = X[self.random.below(6) as usize];
        let by = self.random.below(70) as u32 * (1 + self.random.below(2) as u32 * 3);
        // Aligned, now and then not.
        let place = xmmword_ptr(rbx + 0x10 * self.random.below(9) as i32);
        let odd = xmmword_ptr(r12 + 0x31);
        match self.random.below(16) {
            0..=2 => one_of!(self, x, y; pcmpeqb pcmpeqw pcmpeqd pcmpgtb pcmpgtw pcmpgtd pminub
                pmaxub pminsw pmaxsw paddusb paddusw paddsb paddsw psubusb psubusw psubsb psubsw
                pavgb pavgw pmullw),
            3 => one_of!(self, x, place; pcmpeqb pcmpgtd pminub pmaxsw psubusb pmullw),
            4 | 5 => one_of!(self, x, y; punpcklbw punpcklwd punpckldq unpcklps punpckhbw
                punpckhwd punpckhdq unpckhps movhlps movlhps),
            6 => one_of!(self, x, place; punpcklbw punpckhwd unpcklps punpckldq),
            7 | 8 => {
                one_of!(self, x, by & 0xFF; psllw pslld psllq psrlw psrld psrlq psraw psrad pslldq
                    psrldq)
            }
            9 | 10 => {
                let r = [eax, ecx, edx, esi, r8d][self.random.below(5) as usize];
                one_of!(self, r, y; pmovmskb movmskps movmskpd)
            }
            11 => self.shuffle(x, y, by & 0xFF),
            12 => {
                let place = qword_ptr(rbx + 8 * self.random.below(9) as i32);
                one_of!(self, x, place; movlps movhps movlpd movhpd)
            }
            13 => {
                let place = qword_ptr(r12 + self.random.below(0x40) as i32);
                one_of!(self, place, x; movlps movhps movlpd movhpd)
            }
            14 => one_of!(self, x, odd; pcmpeqb punpcklbw movdqu movups),
            _ => self.a.movdqu(place, x),
        }
    }

    fn shuffle(&mut self, x: AsmRegisterXmm, y: AsmRegisterXmm, by: u32) -> Made {
        match self.random.below(5) {
            0 => self.a.pshufd(x, y, by),
            1 => self.a.pshuflw(x, y, by),
            2 => self.a.pshufhw(x, y, by),
            3 => self.a.shufps(x, y, by),
            _ => self.a.shufpd(x, y, by),
        }
    }
}
