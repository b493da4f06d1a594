//! GPUs in one vocabulary for all clouds: vendor, model, how many or which part of one, memory.

use serde::{Deserialize, Serialize};

/// The GPUs that each VM of a flavor has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gpu {
    /// How much of a GPU in thousandths: 2000 is two, 500 half a one.
    pub thousandths: u64,
    /// Whether other VMs may have a part of the same GPU, and nobody says how large the parts are: then `thousandths` counts the parts as
    /// if they were whole.
    #[serde(default)]
    pub shared: bool,
    /// Maker, where said.
    pub vendor: Option<String>,
    /// Model, for example `A100`, where known.
    pub model: Option<String>,
    /// Memory in MiB, where known: of one GPU, or of the part that the VM has.
    pub memory_mib: Option<u64>,
}

impl Gpu {
    /// `n` whole GPUs of this model; `None` where `n` is 0.
    pub fn whole(n: u32, model: Option<String>) -> Option<Self> {
        (n > 0).then(|| Self { thousandths: u64::from(n) * 1000, model, ..Self::default() })
    }

    /// How many devices a VM has; a part of one counts as one.
    pub fn count(&self) -> u32 {
        u32::try_from(self.thousandths.div_ceil(1000)).unwrap_or(u32::MAX)
    }

    /// Whether the VM has a part of a GPU, and not whole ones.
    pub fn is_share(&self) -> bool {
        self.shared || !self.thousandths.is_multiple_of(1000)
    }

    /// The maker: who is said to be it, or else who makes what is called like the model.
    pub fn maker(&self) -> Option<&str> {
        self.vendor.as_deref().or_else(|| self.model.as_deref().and_then(vendor_of))
    }
}

/// Whether a GPU that is called `model` is a `wanted` one: all words of what is wanted follow each other in its name. So `A100` stands for
/// `NVIDIA A100-SXM4-80GB` and `a100`, and not for `A100X`; capitals do not matter.
pub fn is_called(model: &str, wanted: &str) -> bool {
    let (model, wanted) = (words(model), words(wanted));
    !wanted.is_empty() && model.windows(wanted.len()).any(|some| some == wanted)
}

/// The maker of a GPU with this name, where one of its words can only mean one maker.
pub fn vendor_of(name: &str) -> Option<&'static str> {
    let of = |word: &String| {
        let any = |all: &[&str]| all.iter().any(|begin| word.starts_with(begin));
        match () {
            () if any(&NVIDIA_FAMILIES) || NVIDIA.iter().any(|model| is_model(word, model)) => Some("NVIDIA"),
            () if any(&AMD_FAMILIES) || AMD.iter().any(|model| is_model(word, model)) => Some("AMD"),
            () => None,
        }
    };
    words(name).iter().find_map(of)
}

/// Whether a name can only be a GPU's: one of its words is.
pub fn is_gpu(name: &str) -> bool {
    let any = |word: &String| word.ends_with("gpu") || ANY_FAMILIES.iter().any(|begin| word.starts_with(begin));
    vendor_of(name).is_some() || words(name).iter().any(any)
}

/// The part of a GPU that a profile of NVIDIA's MIG gives, where `name` has one: its sevenths in thousandths, and its memory in MiB.
/// `1g.10gb` has a seventh of the GPU and 10 GiB; `7g.80gb` has all of it.
pub fn mig(name: &str) -> Option<(u64, u64)> {
    let words = words(name);
    let number = |word: &str, unit: &str| word.strip_suffix(unit)?.parse::<u64>().ok();
    let profile = |pair: &[String]| {
        let (part, gib) = (number(&pair[0], "g")?, number(&pair[1], "gb")?);
        let is_known = (1..=7).contains(&part) && (1..=1_024).contains(&gib);
        is_known.then(|| ((part * 1_000).div_ceil(7), gib * 1_024))
    };
    words.windows(2).find_map(profile)
}

fn words(name: &str) -> Vec<String> {
    let lower = name.to_lowercase();
    lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Whether a word is this model; letters may follow (`v100s`, `h100nvl`, `mi250x`), digits not.
fn is_model(word: &str, model: &str) -> bool {
    word.strip_prefix(model).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Beginnings of a word that means a GPU, whatever follows.
const ANY_FAMILIES: [&str; 3] = ["gpu", "vgpu", "pgpu"];
const NVIDIA_FAMILIES: [&str; 5] = ["nvidia", "tesla", "quadro", "geforce", "rtx"];
const AMD_FAMILIES: [&str; 2] = ["radeon", "instinct"];
/// Models of GPUs for computing.
const NVIDIA: [&str; 32] = [
    "k20", "k40", "k80", "m40", "m60", "p4", "p6", "p40", "p100", "t4", "v100", "a2", "a10", "a16", "a30", "a40",
    "a100", "a800", "a2000", "a4000", "a4500", "a5000", "a6000", "l4", "l20", "l40", "h20", "h100", "h200", "h800",
    "b200", "gh200",
];
const AMD: [&str; 5] = ["mi50", "mi100", "mi210", "mi250", "mi300"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_gpu_is_one_for_a_bound_and_a_share() {
        let half = Gpu { thousandths: 500, ..Gpu::default() };
        assert_eq!((half.count(), half.is_share(), Gpu::whole(0, None)), (1, true, None));
        let two = Gpu::whole(2, None).unwrap();
        assert_eq!((two.count(), two.is_share()), (2, false));
        assert!(Gpu { shared: true, ..two }.is_share(), "a part of which nobody says how large it is");
    }

    #[test]
    fn a_model_is_known_by_its_words_whatever_else_is_in_its_name() {
        for model in ["A100", "a100", "NVIDIA A100-SXM4-80GB", "Tesla_A100", "a100-80g"] {
            assert!(is_called(model, "A100"), "{model}");
        }
        for other in ["A100X", "A1000", "A10", "V100", ""] {
            assert!(!is_called(other, "A100"), "{other}");
        }
        assert!(is_called("Quadro RTX 6000", "RTX 6000") && !is_called("RTX A6000", "RTX 6000"));
        assert!(!is_called("A100", "") && !is_called("A100", "-"), "who wants nothing wants no model");
    }

    #[test]
    fn who_makes_a_model_is_known_without_being_said() {
        let maker = |model: &str| Gpu { model: Some(model.to_owned()), ..Gpu::default() }.maker().map(str::to_owned);
        assert_eq!(maker("Tesla K20m").as_deref(), Some("NVIDIA"));
        assert_eq!(maker("L40S").as_deref(), Some("NVIDIA"));
        assert_eq!(maker("MI250X").as_deref(), Some("AMD"));
        assert_eq!((maker("gpu"), maker("special")), (None, None));
        let said = Gpu { vendor: Some("Intel".to_owned()), model: Some("A100".to_owned()), ..Gpu::default() };
        assert_eq!(said.maker(), Some("Intel"), "what is said holds");
    }

    #[test]
    fn a_profile_of_mig_says_its_part_and_its_memory() {
        assert_eq!(mig("MIG 1g.10gb"), Some((143, 10_240)));
        assert_eq!(mig("CUSTOM_A100_3G_20GB"), Some((429, 20_480)));
        assert_eq!(mig("7g.80gb"), Some((1_000, 81_920)));
        for other in ["A100", "8g.80gb", "0g.5gb", "1g", "g.gb", "1g.gb", "1g.9999gb"] {
            assert_eq!(mig(other), None, "{other}");
        }
    }
}
