//! GPUs of a flavor, read from its extra specs. OpenStack has no rule for them: what is read here is Nova's own resources, what EGI asks
//! its sites to publish, and names that can only mean a GPU. For whatever else the Cloud object says it itself (`spec.flavors`).

use std::collections::BTreeMap;

use crate::cloud::Gpu;

/// Beginnings of a word that means a GPU, whatever follows.
const FAMILIES: [&str; 10] =
    ["gpu", "vgpu", "pgpu", "nvidia", "tesla", "quadro", "geforce", "rtx", "radeon", "instinct"];
/// Models of GPUs for computing; letters may follow (`v100s`, `h100nvl`, `mi250x`).
const MODELS: [&str; 37] = [
    "k20", "k40", "k80", "m40", "m60", "p4", "p6", "p40", "p100", "t4", "v100", "a2", "a10", "a16", "a30", "a40",
    "a100", "a800", "a2000", "a4000", "a4500", "a5000", "a6000", "l4", "l20", "l40", "h20", "h100", "h200", "h800",
    "b200", "gh200", "mi50", "mi100", "mi210", "mi250", "mi300",
];
/// Largest number of GPUs that is believed.
const MOST: u64 = 1_000;

/// The GPUs of a flavor with these extra specs, or nothing.
///
/// * `Accelerator:Type`, `:Number`, `:Model`, `:Vendor`, `:Memory` (of each, in GB), in capitals or not, which EGI agreed on (its guide for
///   providers, "GPU Flavors"). The number may have a fraction, for a GPU that VMs share. They hold before everything else.
/// * `resources:VGPU=n` and `resources:PGPU=n`, also in groups (`resources1:…`), and custom resource classes that are called like a GPU
///   (Nova's "Attaching virtual GPU devices to guests").
/// * `pci_passthrough:alias=name:n[,name:n]` (Nova's "Attaching physical PCI devices to guests"). The alias is the site's own word, which
///   may as well be a network card, an FPGA or a disk: it counts where it is called like a GPU, or where `Accelerator:Type` says so.
pub fn of(specs: &BTreeMap<String, String>) -> Option<Gpu> {
    let said = |name: &str| {
        let key = |key: &str| key.strip_prefix("accelerator:").is_some_and(|rest| rest == name);
        let value = specs.iter().find(|(k, _)| key(&k.to_lowercase())).map(|(_, value)| value.trim());
        value.filter(|value| !value.is_empty())
    };
    let kind = said("type");
    if kind.is_some_and(|kind| !kind.eq_ignore_ascii_case("gpu")) {
        return None;
    }
    let resources: u64 = specs.iter().filter_map(|(key, n)| resource(key).then(|| n.trim().parse().ok())?).fold(0, add);
    let aliases = specs.get("pci_passthrough:alias").map(|text| aliases(text)).unwrap_or_default();
    let called_so: Vec<_> = aliases.iter().filter(|(alias, _)| is_gpu(alias)).collect();
    // Whoever says that it is a GPU and calls it by another word means the only device there is.
    let passed = match (called_so.as_slice(), aliases.as_slice(), kind) {
        ([], [only], Some(_)) => vec![only],
        _ => called_so,
    };
    let whole = passed.iter().map(|(_, n)| *n).fold(resources, add);
    let number = said("number").and_then(thousandths);
    let thousandths = number.unwrap_or(match (whole, kind) {
        (0, Some(_)) => 1_000,
        (whole, _) => whole.min(MOST) * 1_000,
    });
    (thousandths > 0).then(|| Gpu {
        thousandths,
        vendor: said("vendor").map(str::to_owned),
        model: said("model").map(str::to_owned).or_else(|| passed.first().map(|(alias, _)| alias.clone())),
        memory_mib: said("memory").and_then(self::thousandths).map(|thousandths| thousandths * 1_024 / 1_000),
    })
}

/// Whether [`of`] reads this extra spec.
pub fn reads(key: &str) -> bool {
    key.to_lowercase().starts_with("accelerator:") || key == "pci_passthrough:alias" || resource(key)
}

fn add(a: u64, b: u64) -> u64 {
    a.saturating_add(b)
}

/// A decimal number in thousandths, rounded up: a part of a GPU is not nothing.
fn thousandths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || (whole.is_empty() && part.is_empty()) {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok().filter(|n| *n <= MOST)? };
    let three: u64 = format!("{part:0<3}").get(..3)?.parse().ok()?;
    let rest = part.bytes().skip(3).any(|b| b != b'0');
    Some(whole * 1_000 + three + u64::from(rest))
}

/// Whether an extra spec asks for GPUs as a resource: `resources`, a group, and a class that is a GPU's.
fn resource(key: &str) -> bool {
    let Some((group, class)) = key.split_once(':') else { return false };
    group.starts_with("resources")
        && (matches!(class, "VGPU" | "PGPU") || class.strip_prefix("CUSTOM_").is_some_and(is_gpu))
}

/// Whether a name can only be a GPU's: one of its words is.
fn is_gpu(name: &str) -> bool {
    let lower = name.to_lowercase();
    let mut words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.any(|word| {
        let is_digit = |c: char| c.is_ascii_digit();
        let model = |model: &str| word.strip_prefix(model).is_some_and(|rest| !rest.starts_with(is_digit));
        word.ends_with("gpu") || FAMILIES.iter().any(|f| word.starts_with(f)) || MODELS.iter().any(|m| model(m))
    })
}

fn aliases(text: &str) -> Vec<(String, u64)> {
    let one = |part: &str| {
        let (name, n) = part.trim().split_once(':')?;
        Some((name.trim().to_owned(), n.trim().parse().ok()?))
    };
    text.split(',').filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs(pairs: &[(&str, &str)]) -> Option<Gpu> {
        of(&pairs.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect())
    }

    fn short(pairs: &[(&str, &str)]) -> (u64, Option<String>) {
        specs(pairs).map(|gpu| (gpu.thousandths, gpu.model)).unwrap_or_default()
    }

    #[test]
    fn what_egi_asks_its_sites_to_publish_is_read() {
        let k20 = specs(&[
            ("Accelerator:Version", "0"),
            ("Accelerator:Memory", "5"),
            ("Accelerator:Model", "Tesla K20m"),
            ("Accelerator:Number", "1.0"),
            ("Accelerator:Type", "GPU"),
            ("Accelerator:Vendor", "NVIDIA"),
            ("Accelerator:VirtualizationType", "PCI passthrough"),
            ("pci_passthrough:alias", "GPU:1"),
        ]);
        let expected = Gpu {
            thousandths: 1_000,
            vendor: Some("NVIDIA".to_owned()),
            model: Some("Tesla K20m".to_owned()),
            memory_mib: Some(5_120),
        };
        assert_eq!(k20, Some(expected));
        assert_eq!(short(&[("accelerator:type", "gpu"), ("accelerator:number", "2")]).0, 2_000);
        assert_eq!(
            short(&[("Accelerator:Type", "GPU"), ("Accelerator:Number", "0.33"), ("resources:VGPU", "1")]).0,
            330
        );
        assert_eq!(short(&[("Accelerator:Type", "GPU")]).0, 1_000, "a type without a number is one");
        for other in ["FPGA", "MIC", "TPU", "NPU"] {
            assert_eq!(
                specs(&[("Accelerator:Type", other), ("Accelerator:Number", "1.0"), ("resources:VGPU", "1")]),
                None
            );
        }
    }

    #[test]
    fn virtual_and_passed_through_gpus_are_counted() {
        assert_eq!(specs(&[]), None);
        assert_eq!(short(&[("resources:VGPU", "1")]), (1_000, None));
        assert_eq!(
            short(&[("resources1:VGPU", "1"), ("resources2:PGPU", "1"), ("resources:VCPU", "8")]),
            (2_000, None)
        );
        assert_eq!(short(&[("resources:CUSTOM_NVIDIA_A100", "2"), ("resources:CUSTOM_FPGA_U250", "1")]), (2_000, None));
        assert_eq!(short(&[("pci_passthrough:alias", "a100:2, sriov-nic:1")]), (2_000, Some("a100".into())));
        assert_eq!(short(&[("pci_passthrough:alias", "nonsense"), ("resources:VGPU", "many")]), (0, None));
    }

    #[test]
    fn a_device_counts_where_its_name_can_only_be_a_gpus_or_the_site_says_so() {
        for gpu in
            ["gpu", "GPU-A100", "nvidia_t4", "V100S", "h100nvl", "mi250x", "Tesla-P100", "a100-80g", "rtx6000", "mygpu"]
        {
            assert_eq!(short(&[("pci_passthrough:alias", &format!("{gpu}:1"))]).0, 1_000, "{gpu}");
        }
        for other in
            ["fpga", "qat", "nvme", "mlx5", "sriov-nic", "u250", "intel-qat-c62x", "ib", "a1", "a1000x2", "disk", "dpu"]
        {
            assert_eq!(short(&[("pci_passthrough:alias", &format!("{other}:1"))]).0, 0, "{other}");
        }
        assert_eq!(
            short(&[("pci_passthrough:alias", "special:2"), ("Accelerator:Type", "GPU")]),
            (2_000, Some("special".into()))
        );
    }

    #[test]
    fn a_part_of_a_gpu_is_counted_in_thousandths() {
        let expected =
            [("1.0", 1_000), ("2", 2_000), ("0.5", 500), (".25", 250), ("0.3333", 334), ("0.0001", 1), ("0", 0)];
        for (text, n) in expected {
            assert_eq!(thousandths(text), Some(n), "{text}");
        }
        for text in ["", ".", "one", "-1", "1,5", "1e3", "99999999999999999999"] {
            assert_eq!(thousandths(text), None, "{text:?}");
        }
    }
}
