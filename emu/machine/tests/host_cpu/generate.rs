//! Cases: an instruction form becomes bytes, and a state that makes it do something.

use std::collections::HashSet;
use std::fmt;

use iced_x86::{Code, CpuidFeature, Encoder, Instruction, Mnemonic, OpKind};

use crate::forms;
use crate::operands::{self, Place};
use crate::prepare;
use crate::random::Random;
use crate::state::{CODE, DATA_LEN, State};
use crate::{emulated, lines, values};

/// One instruction with everything that it starts from.
pub struct Case {
    pub instruction: Instruction,
    pub bytes: Vec<u8>,
    pub state: Box<State>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&lines::write(self))
    }
}

/// Makes cases.
pub struct Generator {
    pub random: Random,
    /// What the memory holds where no operand lies.
    background: Box<[u8; DATA_LEN]>,
    announced: HashSet<Code>,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut background = Box::new([0; DATA_LEN]);
        for chunk in background.chunks_mut(8) {
            chunk.copy_from_slice(&random.word().to_le_bytes());
        }
        let mut generator = Generator {
            random,
            background,
            announced: HashSet::new(),
        };
        generator.announced = Code::values()
            .filter(|&code| forms::reason(code).is_none() && generator.announces(code))
            .collect();
        generator
    }

    /// Every form that is judged, in the decoder library's order.
    pub fn forms(&self) -> Vec<Code> {
        Code::values()
            .filter(|code| self.announced.contains(code))
            .collect()
    }

    /// Whether the machine's decoder takes this form.
    fn announces(&mut self, code: Code) -> bool {
        (0..50)
            .find_map(|_| self.encode(code))
            .is_some_and(|(instruction, bytes)| emulated::announces(&instruction, &bytes))
    }

    /// A case of this form; none if the operands that were drawn cannot be encoded.
    pub fn case(&mut self, code: Code) -> Option<Case> {
        let (mut instruction, mut bytes) = self.encode(code)?;
        if self.random.chance(24) {
            bytes = self.with_prefix(bytes);
            instruction = forms::decode(&bytes, CODE);
            let known = instruction.is_invalid() || self.announced.contains(&instruction.code());
            if !known || bytes.len() > 15 || instruction.len() > bytes.len() {
                return None;
            }
        }
        let mut state = self.state(&instruction);
        prepare::registers(&mut self.random, &instruction, &mut state)?;
        Some(Case {
            instruction,
            bytes,
            state,
        })
    }

    /// Bytes of this form, with operands and prefixes by chance.
    fn encode(&mut self, code: Code) -> Option<(Instruction, Vec<u8>)> {
        let mut instruction = Instruction::default();
        instruction.set_code(code);
        for (i, kind) in code.op_code().op_kinds().iter().enumerate() {
            operands::set(&mut self.random, &mut instruction, i as u32, *kind)?;
        }
        operands::prefixes(&mut self.random, &mut instruction);
        let mut encoder = Encoder::new(64);
        encoder.encode(&instruction, CODE).ok()?;
        let bytes = encoder.take_buffer();
        let decoded = forms::decode(&bytes, CODE);
        // Some forms have two encodings, of which the library writes the other.
        (decoded.code() == code).then_some((decoded, bytes))
    }

    /// One more prefix, which means nothing, another instruction, or none.
    fn with_prefix(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        const PREFIXES: [u8; 11] = [
            0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3,
        ];
        [vec![self.random.pick(&PREFIXES)], bytes].concat()
    }

    fn state(&mut self, instruction: &Instruction) -> Box<State> {
        let random = &mut self.random;
        let mut state = State::plain();
        state.gpr = std::array::from_fn(|_| random.value());
        state.rflags |= values::flags(random);
        state.memory = *self.background;
        state.gpr[4] = operands::place(random, Place::Stack);
        if is_vector(instruction) {
            values::vectors(random, &mut state);
        }
        state
    }
}

/// Whether the x87 and vector registers mean anything to it.
fn is_vector(instruction: &Instruction) -> bool {
    use CpuidFeature as F;
    const PLAIN: [CpuidFeature; 7] = [
        F::INTEL8086,
        F::INTEL186,
        F::INTEL286,
        F::INTEL386,
        F::INTEL486,
        F::X64,
        F::CMOV,
    ];
    let fcmov = instruction.op_kinds().any(|kind| kind == OpKind::Register)
        && instruction.op0_register().is_st();
    fcmov
        || instruction.mnemonic() == Mnemonic::INVALID
        || !instruction
            .cpuid_features()
            .iter()
            .all(|feature| PLAIN.contains(feature))
}
