//! The machine's own form of a decoded instruction.
//!
//! Nothing here knows the decoder library: [`decode`](super::decode) translates
//! into these types and `exec` reads only them.

pub use crate::cost::Class;

macro_rules! declare {
    ($($(#[$meta:meta])* $family:ident { $($op:ident),* $(,)? } + { $($own:ident),* $(,)? })*) => {
        /// Groups of operations; each is executed by one file under `exec`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Family { $($(#[$meta])* $family,)* }

        /// What an instruction does, named as Intel names it (condition codes
        /// and string widths are fields of [`Insn`], not operations).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Op { $($($op,)* $($own,)*)* }

        impl Op {
            /// The group that it belongs to.
            #[must_use]
            pub const fn family(self) -> Family {
                match self { $($(Op::$op => Family::$family,)* $(Op::$own => Family::$family,)*)* }
            }

            /// Its name, as in the manual but for case.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $($(Op::$op => stringify!($op),)* $(Op::$own => stringify!($own),)*)*
                }
            }

            /// The operation of this name, if it is one that the decoder library calls so too.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                match name {
                    $($(stringify!($op) => Some(Op::$op),)*)*
                    _ => None,
                }
            }
        }
    };
}

/// Every operation by family: first those that the decoder library calls by the same name, then
/// those that are our own words.
macro_rules! for_each_operation {
    ($callback:ident) => {
        $callback! {
            /// Addition, subtraction, logic.
            Alu {
                Add, Or, Adc, Sbb, And, Sub, Xor, Cmp, Test, Inc, Dec, Neg, Not, Adcx, Adox,
            } + {}
            /// Multiplication and division.
            MulDiv {
                Mul, Imul, Div, Idiv,
            } + {}
            /// Shifts and rotates.
            Shift {
                Rol, Ror, Rcl, Rcr, Shl, Shr, Sar, Shld, Shrd,
            } + {}
            /// Single bits, scans and counts.
            Bit {
                Bt, Bts, Btr, Btc, Bsf, Bsr, Popcnt, Bswap, Crc32,
            } + {}
            /// BMI1, BMI2, LZCNT.
            Bmi {
                Andn, Bextr, Blsi, Blsmsk, Blsr, Bzhi, Lzcnt, Mulx, Pdep, Pext, Rorx, Sarx, Shlx,
                Shrx, Tzcnt,
            } + {}
            /// Moves, extensions, addresses.
            Mov {
                Mov, Movzx, Movsx, Movsxd, Movnti, Movbe, Lea, Cbw, Cwde, Cdqe, Cwd, Cdq, Cqo, Xlatb,
            } + { Cmovcc, Setcc }
            /// Exchanges.
            Atomic {
                Xchg, Cmpxchg, Cmpxchg8b, Cmpxchg16b, Xadd,
            } + {}
            /// The stack.
            Stack {
                Push, Pop, Pusha, Popa, Pushf, Popf, Enter, Leave,
            } + {}
            /// Jumps, calls, interrupts and returns.
            Control {
                Jmp, Call, Ret, Loop, Loope, Loopne, Jrcxz, Int, Int1, Int3, Iret, Syscall, Sysret,
            } + { Jcc, JmpFar, CallFar, RetFar }
            /// Single flags.
            Flag {
                Clc, Stc, Cmc, Cld, Std, Cli, Sti, Lahf, Sahf, Clac, Stac,
            } + {}
            /// String instructions on memory.
            String {
            } + { Movs, Cmps, Stos, Lods, Scas }
            /// What 64-bit mode has taken away.
            Legacy {
                Aaa, Aad, Aam, Aas, Daa, Das, Bound, Into, Arpl, Salc,
            } + {}
            /// Ports.
            Io {
                In, Out,
            } + { Ins, Outs }
            /// What an operating system needs.
            System {
                Hlt, Lgdt, Lidt, Lldt, Ltr, Sgdt, Sidt, Sldt, Str, Lmsw, Smsw, Clts, Invlpg, Invpcid, Invd,
                Wbinvd, Rdmsr, Wrmsr, Cpuid, Rdtsc, Rdtscp, Rdpmc, Swapgs, Lss, Lds, Les, Lfs, Lgs, Lar, Lsl,
                Verr, Verw,
            } + { MovCr, MovDr, MovSeg }
            /// Random numbers.
            Random {
                Rdrand, Rdseed,
            } + {}
            /// The bases of FS and GS.
            SegmentBase {
                Rdfsbase, Rdgsbase, Wrfsbase, Wrgsbase,
            } + {}
            /// Fences, prefetches and hints: nothing to do where memory is sequential.
            Nop {
                Nop, Pause, Sfence, Lfence, Mfence, Clflush, Prefetchnta, Prefetcht0, Prefetcht1,
                Prefetcht2,
            } + {}
            /// Moves of XMM and MMX registers, MXCSR.
            SseMove {
                Lddqu, Ldmxcsr, Maskmovdqu, Maskmovq, Movapd, Movaps, Movd, Movddup,
                Movdq2q, Movdqa, Movdqu, Movhlps, Movhpd, Movhps, Movlhps, Movlpd, Movlps,
                Movmskpd, Movmskps, Movntdq, Movntdqa, Movntpd, Movntps, Movntq, Movq,
                Movq2dq, Movsd, Movshdup, Movsldup, Movss, Movupd, Movups, Pmovmskb,
                Stmxcsr,
            } + {}
            /// Arithmetic on packed and scalar singles and doubles.
            SseFloat {
                Addpd, Addps, Addsd, Addss, Addsubpd, Addsubps, Cmppd, Cmpps, Cmpsd, Cmpss,
                Comisd, Comiss, Divpd, Divps, Divsd, Divss, Dppd, Dpps, Haddpd, Haddps,
                Hsubpd, Hsubps, Maxpd, Maxps, Maxsd, Maxss, Minpd, Minps, Minsd, Minss,
                Mulpd, Mulps, Mulsd, Mulss, Rcpps, Rcpss, Roundpd, Roundps, Roundsd,
                Roundss, Rsqrtps, Rsqrtss, Sqrtpd, Sqrtps, Sqrtsd, Sqrtss, Subpd, Subps,
                Subsd, Subss, Ucomisd, Ucomiss,
            } + {}
            /// Conversions between integers, singles and doubles.
            SseConvert {
                Cvtdq2pd, Cvtdq2ps, Cvtpd2dq, Cvtpd2pi, Cvtpd2ps, Cvtpi2pd, Cvtpi2ps,
                Cvtps2dq, Cvtps2pd, Cvtps2pi, Cvtsd2si, Cvtsd2ss, Cvtsi2sd, Cvtsi2ss,
                Cvtss2sd, Cvtss2si, Cvttpd2dq, Cvttpd2pi, Cvttps2dq, Cvttps2pi, Cvttsd2si,
                Cvttss2si,
            } + {}
            /// Packed integers, and logic on whole registers.
            SseInteger {
                Andnpd, Andnps, Andpd, Andps, Mpsadbw, Orpd, Orps, Pabsb, Pabsd, Pabsw,
                Paddb, Paddd, Paddq, Paddsb, Paddsw, Paddusb, Paddusw, Paddw, Pand, Pandn,
                Pavgb, Pavgw, Pcmpeqb, Pcmpeqd, Pcmpeqq, Pcmpeqw, Pcmpgtb, Pcmpgtd, Pcmpgtq,
                Pcmpgtw, Phaddd, Phaddsw, Phaddw, Phminposuw, Phsubd, Phsubsw, Phsubw,
                Pmaddubsw, Pmaddwd, Pmaxsb, Pmaxsd, Pmaxsw, Pmaxub, Pmaxud, Pmaxuw, Pminsb,
                Pminsd, Pminsw, Pminub, Pminud, Pminuw, Pmuldq, Pmulhrsw, Pmulhuw, Pmulhw,
                Pmulld, Pmullw, Pmuludq, Por, Psadbw, Psignb, Psignd, Psignw, Pslld, Pslldq,
                Psllq, Psllw, Psrad, Psraw, Psrld, Psrldq, Psrlq, Psrlw, Psubb, Psubd,
                Psubq, Psubsb, Psubsw, Psubusb, Psubusw, Psubw, Ptest, Pxor, Xorpd, Xorps,
            } + {}
            /// Lanes that change places or widths.
            SseShuffle {
                Blendpd, Blendps, Blendvpd, Blendvps, Extractps, Insertps, Packssdw,
                Packsswb, Packusdw, Packuswb, Palignr, Pblendvb, Pblendw, Pextrb, Pextrd,
                Pextrq, Pextrw, Pinsrb, Pinsrd, Pinsrq, Pinsrw, Pmovsxbd, Pmovsxbq,
                Pmovsxbw, Pmovsxdq, Pmovsxwd, Pmovsxwq, Pmovzxbd, Pmovzxbq, Pmovzxbw,
                Pmovzxdq, Pmovzxwd, Pmovzxwq, Pshufb, Pshufd, Pshufhw, Pshuflw, Pshufw,
                Punpckhbw, Punpckhdq, Punpckhqdq, Punpckhwd, Punpcklbw, Punpckldq,
                Punpcklqdq, Punpcklwd, Shufpd, Shufps, Unpckhpd, Unpckhps, Unpcklpd,
                Unpcklps,
            } + {}
            /// String comparisons in XMM registers.
            SseText {
                Pcmpestri, Pcmpestri64, Pcmpestrm, Pcmpestrm64, Pcmpistri, Pcmpistrm,
            } + {}
            /// AES.
            SseAes {
                Aesdec, Aesdeclast, Aesenc, Aesenclast, Aesimc, Aeskeygenassist,
            } + {}
            /// Multiplication of polynomials.
            SseClmul {
                Pclmulqdq,
            } + {}
            /// SHA-1 and SHA-256.
            SseSha {
                Sha1msg1, Sha1msg2, Sha1nexte, Sha1rnds4, Sha256msg1, Sha256msg2, Sha256rnds2,
            } + {}
            /// Lanes that change places across the halves of a register, broadcasts, and shifts by
            /// a count for each lane: what only VEX encodes.
            AvxLane {
                Vbroadcastf128, Vbroadcasti128, Vbroadcastsd, Vbroadcastss, Vextractf128,
                Vextracti128, Vinsertf128, Vinserti128, Vpblendd, Vpbroadcastb, Vpbroadcastd,
                Vpbroadcastq, Vpbroadcastw, Vperm2f128, Vperm2i128, Vpermd, Vpermilpd,
                Vpermilps, Vpermpd, Vpermps, Vpermq, Vpsllvd, Vpsllvq, Vpsravd, Vpsrlvd,
                Vpsrlvq, Vtestpd, Vtestps, Vzeroall, Vzeroupper,
            } + {}
            /// Multiplication and addition in one rounding.
            AvxFused {
                Vfmadd132pd, Vfmadd132ps, Vfmadd132sd, Vfmadd132ss, Vfmadd213pd, Vfmadd213ps,
                Vfmadd213sd, Vfmadd213ss, Vfmadd231pd, Vfmadd231ps, Vfmadd231sd, Vfmadd231ss,
                Vfmaddsub132pd, Vfmaddsub132ps, Vfmaddsub213pd, Vfmaddsub213ps, Vfmaddsub231pd,
                Vfmaddsub231ps, Vfmsub132pd, Vfmsub132ps, Vfmsub132sd, Vfmsub132ss, Vfmsub213pd,
                Vfmsub213ps, Vfmsub213sd, Vfmsub213ss, Vfmsub231pd, Vfmsub231ps, Vfmsub231sd,
                Vfmsub231ss, Vfmsubadd132pd, Vfmsubadd132ps, Vfmsubadd213pd, Vfmsubadd213ps,
                Vfmsubadd231pd, Vfmsubadd231ps, Vfnmadd132pd, Vfnmadd132ps, Vfnmadd132sd,
                Vfnmadd132ss, Vfnmadd213pd, Vfnmadd213ps, Vfnmadd213sd, Vfnmadd213ss,
                Vfnmadd231pd, Vfnmadd231ps, Vfnmadd231sd, Vfnmadd231ss, Vfnmsub132pd,
                Vfnmsub132ps, Vfnmsub132sd, Vfnmsub132ss, Vfnmsub213pd, Vfnmsub213ps,
                Vfnmsub213sd, Vfnmsub213ss, Vfnmsub231pd, Vfnmsub231ps, Vfnmsub231sd,
                Vfnmsub231ss,
            } + {}
            /// Conversions between halves and singles.
            AvxHalf {
                Vcvtph2ps, Vcvtps2ph,
            } + {}
            /// Loads and stores of the lanes that a mask chooses, and gathers.
            AvxMemory {
                Vgatherdpd, Vgatherdps, Vgatherqpd, Vgatherqps, Vmaskmovpd, Vmaskmovps,
                Vpgatherdd, Vpgatherdq, Vpgatherqd, Vpgatherqq, Vpmaskmovd, Vpmaskmovq,
            } + {}
            /// Any instruction on vectors that a VEX prefix encodes: its own conditions come
            /// first, then the family of its operation.
            Vex {
            } + {}
            /// x87 arithmetic and comparisons.
            X87 {
                F2xm1, Fabs, Fadd, Faddp, Fchs, Fcom, Fcomi, Fcomip, Fcomp, Fcompp, Fcos,
                Fdiv, Fdivp, Fdivr, Fdivrp, Fiadd, Ficom, Ficomp, Fidiv, Fidivr, Fimul,
                Fisub, Fisubr, Fmul, Fmulp, Fpatan, Fprem, Fprem1, Fptan, Frndint, Fscale,
                Fsin, Fsincos, Fsqrt, Fsub, Fsubp, Fsubr, Fsubrp, Ftst, Fucom, Fucomi,
                Fucomip, Fucomp, Fucompp, Fxam, Fxtract, Fyl2x, Fyl2xp1, Wait,
            } + {}
            /// x87 loads, stores, constants.
            X87Move {
                Fbld, Fbstp, Fcmovb, Fcmovbe, Fcmove, Fcmovnb, Fcmovnbe, Fcmovne, Fcmovnu,
                Fcmovu, Fdecstp, Ffree, Ffreep, Fild, Fincstp, Fist, Fistp, Fisttp, Fld,
                Fld1, Fldl2e, Fldl2t, Fldlg2, Fldln2, Fldpi, Fldz, Fnop, Fst, Fstp, Fstpnce,
                Fxch,
            } + {}
            /// x87 control and status; FXSAVE.
            X87Control {
                Emms, Fldcw, Fldenv, Fnclex, Fninit, Fnsave, Fnsetpm, Fnstcw, Fnstenv, Fnstsw,
                Frstor, Fxrstor, Fxrstor64, Fxsave, Fxsave64,
            } + {}
            /// XSAVE, XRSTOR, and XCR0, which says what they manage.
            Xsave {
                Xgetbv, Xsetbv, Xsave, Xsave64, Xsaveopt, Xsaveopt64, Xsavec, Xsavec64, Xrstor,
                Xrstor64,
            } + {}
            /// Bytes that are no announced instruction, and announced ones that are not there.
            Special {
            } + { Undefined, Missing }
        }
    };
}
pub(super) use for_each_operation;

for_each_operation!(declare);

impl Family {
    /// Whether its instructions work on MMX, XMM or YMM registers: they share an order of
    /// operands, see [`FIRST`].
    #[must_use]
    pub const fn is_vector(self) -> bool {
        matches!(
            self,
            Family::SseMove
                | Family::SseFloat
                | Family::SseConvert
                | Family::SseInteger
                | Family::SseShuffle
                | Family::SseText
                | Family::SseAes
                | Family::SseClmul
                | Family::SseSha
                | Family::AvxLane
                | Family::AvxFused
                | Family::AvxHalf
                | Family::AvxMemory
        )
    }
}

/// The width of an integer operand or of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Width {
    /// 8 bits.
    Byte = 1,
    /// 16 bits.
    Word = 2,
    /// 32 bits.
    Dword = 4,
    /// 64 bits.
    Qword = 8,
}

impl Width {
    /// How many bytes.
    #[must_use]
    pub const fn bytes(self) -> u8 {
        self as u8
    }

    /// How many bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self as u32 * 8
    }

    /// All bits of the width.
    #[must_use]
    pub const fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits())
    }

    /// The topmost bit.
    #[must_use]
    pub const fn sign(self) -> u64 {
        1 << (self.bits() - 1)
    }

    /// The value's sign extended to 64 bits.
    #[must_use]
    pub const fn extend(self, value: u64) -> u64 {
        let unused = 64 - self.bits();
        (((value << unused) as i64) >> unused) as u64
    }

    /// The width of this many bytes, if there is one.
    #[must_use]
    pub const fn from_bytes(bytes: usize) -> Option<Self> {
        match bytes {
            1 => Some(Width::Byte),
            2 => Some(Width::Word),
            4 => Some(Width::Dword),
            8 => Some(Width::Qword),
            _ => None,
        }
    }
}

/// A general-purpose register or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gpr {
    /// 0 = rax … 15 = r15, in encoding order (rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi).
    pub index: u8,
    /// How much of it.
    pub width: Width,
    /// True for AH, CH, DH, BH: bits 8 to 15 of registers 0 to 3.
    pub high: bool,
}

/// A segment register, in encoding order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Seg {
    Es = 0,
    Cs = 1,
    Ss = 2,
    Ds = 3,
    Fs = 4,
    Gs = 5,
}

/// One operand. A memory operand's address is in [`Insn::mem`]: no instruction has two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// There is no such operand.
    None,
    /// A general-purpose register.
    Gpr(Gpr),
    /// Memory at [`Insn::mem`].
    Mem,
    /// An immediate, extended as the instruction says; a near branch's distance from the next
    /// instruction.
    Imm(u64),
    /// A segment register.
    Seg(Seg),
    /// A control register.
    Cr(u8),
    /// A debug register.
    Dr(u8),
    /// An SSE register. As a destination it leaves the upper half of its YMM register alone.
    Xmm(u8),
    /// The destination of a VEX.128 form: an SSE register; the upper half of its YMM register is
    /// cleared.
    XmmZeroing(u8),
    /// Both halves of a YMM register.
    Ymm(u8),
    /// An MMX register.
    Mmx(u8),
    /// `st(i)`.
    St(u8),
    /// A far pointer in the instruction.
    Far {
        /// The new CS.
        selector: u16,
        /// The new instruction pointer.
        offset: u32,
    },
}

/// The place in [`Insn::operands`] of the first source of an instruction on vectors: what
/// VEX.vvvv names, or else (in all legacy forms) the destination.
pub const FIRST: usize = 3;

/// [`Mem::base`] and [`Mem::index`]: no register.
pub const NO_REGISTER: u8 = 0xFF;
/// [`Mem::base`]: the address of the next instruction.
pub const RIP: u8 = 0xFE;

/// A memory operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mem {
    /// Register number, [`RIP`] or [`NO_REGISTER`].
    pub base: u8,
    /// Register number or [`NO_REGISTER`]; a vector register's in a gather.
    pub index: u8,
    /// 1, 2, 4 or 8.
    pub scale: u8,
    /// The width that the sum of the parts is cut to.
    pub address: Width,
    /// The segment whose base is added.
    pub seg: Seg,
    /// The displacement, sign-extended.
    pub disp: u64,
    /// Size of the memory operand in bytes (10 for an 80-bit float, 512 for FXSAVE), 0 if it has
    /// none (LEA, INVLPG, NOP).
    pub bytes: u16,
}

/// A repeat prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rep {
    /// None, or none that matters.
    None,
    /// F3: REP, REPE, REPZ.
    Repe,
    /// F2: REPNE, REPNZ.
    Repne,
}

/// One decoded instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Insn {
    /// What to do.
    pub op: Op,
    /// `op.family()`, looked up once.
    pub family: Family,
    /// What it costs to issue, apart from its memory accesses.
    pub class: Class,
    /// Width of the operation: of the first operand where that is an integer, of one element for
    /// string instructions, of what is pushed or popped for stack ones.
    pub size: Width,
    /// Length in bytes.
    pub len: u8,
    /// The condition code of Jcc, SETcc, CMOVcc, in encoding order (O, NO, B, AE, E, NE, BE, A, S,
    /// NS, P, NP, L, GE, LE, G).
    pub condition: u8,
    /// Repeat prefix of a string instruction.
    pub rep: Rep,
    /// LOCK prefix present (the decoder has refused it where it is not allowed).
    pub lock: bool,
    /// A VEX prefix: memory need not be aligned unless the instruction says so.
    pub vex: bool,
    /// Of an x87 instruction the low three bits of its first byte, and its ModRM byte: FOP.
    pub fop: u16,
    /// The operands, destination first. The legacy and the VEX form of an instruction on vectors
    /// have theirs in the same places: destination, last source, immediate, [`FIRST`] source.
    pub operands: [Operand; 4],
    /// Address of the memory operand; for string instructions the segment of the source and the
    /// address width.
    pub mem: Mem,
}
