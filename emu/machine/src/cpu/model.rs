//! Which CPU it is: the models that a scenario can choose, and what each of them announces.
//!
//! One table names every feature with the model that has it first and its bit in CPUID. CPUID
//! answers from the table, the decoder refuses (#UD) what the table does not give to the running
//! model, and CR4 takes the bits that belong to it.

use serde::{Deserialize, Serialize};

/// The models, each with all that the one before it has: the levels of the x86-64 psABI and, from
/// the third, further sets that CPUs of that age have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CpuModel {
    /// The baseline: what the first x86-64 CPUs had, up to SSE2.
    V1,
    /// SSE4.2, POPCNT, CMPXCHG16B, LAHF.
    #[default]
    V2,
    /// AVX2, BMI, FMA; also AES, SHA, RDRAND and other sets beyond the level's name.
    V3,
}

impl CpuModel {
    /// Every model with its name in scenarios and on the command line.
    pub const WORDS: [(&'static str, CpuModel); 3] = [
        ("v1", CpuModel::V1),
        ("v2", CpuModel::V2),
        ("v3", CpuModel::V3),
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        Self::WORDS[self as usize].0
    }

    /// What it announces.
    #[must_use]
    pub const fn features(self) -> Features {
        SETS[self as usize]
    }
}

/// A register of a CPUID leaf that consists of feature bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Leaf 1, ecx.
    Leaf1Ecx,
    /// Leaf 1, edx.
    Leaf1Edx,
    /// Leaf 7, subleaf 0, ebx.
    Leaf7Ebx,
    /// Leaf 7, subleaf 0, ecx.
    Leaf7Ecx,
    /// Leaf 0xD, subleaf 1, eax.
    LeafDEax,
    /// Leaf 0x80000001, ecx.
    ExtendedEcx,
    /// Leaf 0x80000001, edx.
    ExtendedEdx,
}

impl Word {
    /// The leaf, with its subleaf if it has some, and the register.
    #[must_use]
    pub const fn place(self) -> &'static str {
        match self {
            Word::Leaf1Ecx => "1 ecx",
            Word::Leaf1Edx => "1 edx",
            Word::Leaf7Ebx => "7.0 ebx",
            Word::Leaf7Ecx => "7.0 ecx",
            Word::LeafDEax => "0xD.1 eax",
            Word::ExtendedEcx => "0x80000001 ecx",
            Word::ExtendedEdx => "0x80000001 edx",
        }
    }
}

/// A set of [`Feature`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features(u128);

impl Features {
    /// Whether the feature is in the set.
    #[must_use]
    pub const fn has(self, feature: Feature) -> bool {
        self.0 >> feature as u32 & 1 != 0
    }

    /// This register of CPUID.
    #[must_use]
    pub fn word(self, word: Word) -> u32 {
        let ours = TABLE.iter().filter(|row| row.word == word);
        ours.filter(|row| self.has(row.feature))
            .fold(0, |bits, row| bits | 1 << row.bit)
    }

    const fn of(model: CpuModel) -> Features {
        let mut set = 0;
        let mut i = 0;
        while i < TABLE.len() {
            if TABLE[i].since as u8 <= model as u8 {
                set |= 1 << TABLE[i].feature as u32;
            }
            i += 1;
        }
        Features(set)
    }
}

const SETS: [Features; 3] = [
    Features::of(CpuModel::V1),
    Features::of(CpuModel::V2),
    Features::of(CpuModel::V3),
];

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The feature.
    pub feature: Feature,
    /// What it is, in words.
    pub about: &'static str,
    /// The first model that has it.
    pub since: CpuModel,
    /// Where CPUID says so.
    pub word: Word,
    /// The bit there.
    pub bit: u8,
}

macro_rules! features {
    ($($name:ident $since:ident $word:ident $bit:literal $about:literal)*) => {
        /// Something that CPUID has a bit for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Feature { $(#[doc = $about] $name,)* }

        /// Every feature.
        pub const TABLE: &[Row] = &[$(Row {
            feature: Feature::$name,
            about: $about,
            since: CpuModel::$since,
            word: Word::$word,
            bit: $bit,
        },)*];
    };
}

// The name, the first model that has it, its place in CPUID. Nothing has a row before all of it is
// there. Of what only an operating system sees, all models have the same but for PCID and INVPCID.
features! {
    Fpu V1 Leaf1Edx 0 "x87."
    De V1 Leaf1Edx 2 "CR4.DE."
    Pse V1 Leaf1Edx 3 "Large pages."
    Tsc V1 Leaf1Edx 4 "RDTSC."
    Msr V1 Leaf1Edx 5 "RDMSR, WRMSR."
    Pae V1 Leaf1Edx 6 "Physical addresses beyond 32 bits."
    Cx8 V1 Leaf1Edx 8 "CMPXCHG8B."
    Apic V1 Leaf1Edx 9 "A local APIC."
    Mtrr V1 Leaf1Edx 12 "Memory types by range."
    Pge V1 Leaf1Edx 13 "Global pages."
    Cmov V1 Leaf1Edx 15 "CMOVcc, FCMOVcc, FCOMI."
    Pat V1 Leaf1Edx 16 "IA32_PAT."
    Clfsh V1 Leaf1Edx 19 "CLFLUSH."
    Mmx V1 Leaf1Edx 23 "MMX."
    Fxsr V1 Leaf1Edx 24 "FXSAVE, FXRSTOR."
    Sse V1 Leaf1Edx 25 "SSE."
    Sse2 V1 Leaf1Edx 26 "SSE2."
    Sse3 V2 Leaf1Ecx 0 "SSE3."
    Pclmulqdq V3 Leaf1Ecx 1 "PCLMULQDQ."
    Ssse3 V2 Leaf1Ecx 9 "SSSE3."
    Fma V3 Leaf1Ecx 12 "Fused multiplication and addition."
    Cx16 V2 Leaf1Ecx 13 "CMPXCHG16B."
    Pcid V3 Leaf1Ecx 17 "Process-context identifiers."
    Sse41 V2 Leaf1Ecx 19 "SSE4.1."
    Sse42 V2 Leaf1Ecx 20 "SSE4.2."
    Movbe V3 Leaf1Ecx 22 "MOVBE."
    Popcnt V2 Leaf1Ecx 23 "POPCNT."
    Aes V3 Leaf1Ecx 25 "AES rounds."
    Xsave V3 Leaf1Ecx 26 "XSAVE, XRSTOR, XGETBV, XSETBV."
    Avx V3 Leaf1Ecx 28 "AVX."
    F16c V3 Leaf1Ecx 29 "Conversions of halves."
    Rdrand V3 Leaf1Ecx 30 "RDRAND."
    Hypervisor V1 Leaf1Ecx 31 "Leaf 0x40000000 is worth a look."
    Fsgsbase V3 Leaf7Ebx 0 "RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE."
    Bmi1 V3 Leaf7Ebx 3 "ANDN, BEXTR, BLSI, BLSMSK, BLSR, TZCNT."
    Avx2 V3 Leaf7Ebx 5 "AVX2."
    FdpExceptions V1 Leaf7Ebx 6 "The x87 keeps the place of an operand (FDP) for unmasked exceptions alone."
    Smep V1 Leaf7Ebx 7 "No fetches by the kernel from pages of programs."
    Bmi2 V3 Leaf7Ebx 8 "BZHI, MULX, PDEP, PEXT, RORX, SARX, SHLX, SHRX."
    Invpcid V3 Leaf7Ebx 10 "INVPCID."
    NoFcsFds V1 Leaf7Ebx 13 "The x87 keeps no selectors (FCS, FDS)."
    Rdseed V3 Leaf7Ebx 18 "RDSEED."
    Adx V3 Leaf7Ebx 19 "ADCX, ADOX."
    Smap V1 Leaf7Ebx 20 "No data accesses by the kernel to pages of programs."
    Sha V3 Leaf7Ebx 29 "SHA-1 and SHA-256."
    Umip V1 Leaf7Ecx 2 "Programs cannot read the places of tables."
    Xsaveopt V3 LeafDEax 0 "XSAVEOPT."
    Xsavec V3 LeafDEax 1 "XSAVEC."
    Xgetbv1 V3 LeafDEax 2 "XGETBV of the state in use."
    Lahf V2 ExtendedEcx 0 "LAHF and SAHF in 64-bit mode."
    Lzcnt V3 ExtendedEcx 5 "LZCNT."
    Syscall V1 ExtendedEdx 11 "SYSCALL, SYSRET."
    Nx V1 ExtendedEdx 20 "Pages without execution."
    Page1Gb V1 ExtendedEdx 26 "Pages of 1 GiB."
    Rdtscp V1 ExtendedEdx 27 "RDTSCP."
    LongMode V1 ExtendedEdx 29 "64-bit mode."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_has_what_the_level_below_it_has() {
        let [v1, v2, v3] = CpuModel::WORDS.map(|(_, model)| model.features());
        assert_eq!((v1.0 & !v2.0, v2.0 & !v3.0), (0, 0));
        assert!(!v1.has(Feature::Popcnt) && v2.has(Feature::Popcnt));
        assert_eq!(CpuModel::V3.name(), "v3");
    }

    /// What programs and goldens have seen from the first day.
    #[test]
    fn the_default_model_announces_these_bits() {
        let words = [Word::Leaf1Ecx, Word::Leaf1Edx, Word::ExtendedEcx];
        let words = words.map(|word| CpuModel::default().features().word(word));
        assert_eq!(words, [0x8098_2201, 0x0789_B37D, 1]);
    }

    #[test]
    fn no_two_features_share_a_bit() {
        for (i, row) in TABLE.iter().enumerate() {
            let twin = |other: &Row| (other.word, other.bit) == (row.word, row.bit);
            assert!(!TABLE[..i].iter().any(twin), "{:?}", row.feature);
        }
    }
}
