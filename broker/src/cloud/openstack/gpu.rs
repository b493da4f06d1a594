//! GPUs of a flavor, read from its extra specs. OpenStack has no rule for them: what is read here is Nova's own resources, what EGI asks
//! its sites to publish, and names that can only mean a GPU. For whatever else the Cloud object says it itself (`spec.flavors`).

use std::collections::BTreeMap;

use crate::cloud::{
    Gpu,
    gpu::{is_gpu, mig},
};

/// Largest number of GPUs that is believed.
const MOST: u64 = 1_000;

/// The GPUs of a flavor with these extra specs, or nothing.
///
/// * `Accelerator:Type`, `:Number`, `:Model`, `:Vendor`, `:Memory` (of each, in GB), in capitals or not, which EGI agreed on (its guide for
///   providers, "GPU Flavors"). The number may have a fraction, for a GPU that VMs share. They hold before everything else.
/// * `resources:VGPU=n` and `resources:PGPU=n`, also in groups (`resources1:…`), and custom resource classes that are called like a GPU
///   (Nova's "Attaching virtual GPU devices to guests"). A VGPU is a part of a GPU, and nothing says how large it is.
/// * `pci_passthrough:alias=name:n[,name:n]` (Nova's "Attaching physical PCI devices to guests"). The alias is the site's own word, which
///   may as well be a network card, an FPGA or a disk: it counts where it is called like a GPU, or where `Accelerator:Type` says so.
/// * A profile of NVIDIA's MIG in the name of a custom resource class, of an alias or of a required trait (`CUSTOM_MIG_1G_10GB`): then each
///   device is that part of a GPU.
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
    let resources: Vec<(&str, u64)> =
        specs.iter().filter_map(|(key, n)| Some((resource(key)?, n.trim().parse().ok()?))).collect();
    let aliases = specs.get("pci_passthrough:alias").map(|text| aliases(text)).unwrap_or_default();
    let called_so: Vec<_> = aliases.iter().filter(|(alias, _)| is_device(alias)).collect();
    // Whoever says that it is a GPU and calls it by another word means the only device there is.
    let passed = match (called_so.as_slice(), aliases.as_slice(), kind) {
        ([], [only], Some(_)) => vec![only],
        _ => called_so,
    };
    let passed: Vec<(&str, u64)> = passed.into_iter().map(|(alias, n)| (alias.as_str(), *n)).collect();
    let devices = resources.iter().chain(&passed).fold(0, |sum, (_, n)| add(sum, *n)).min(MOST);
    let devices = if devices == 0 && kind.is_some() { 1 } else { devices };
    let custom = resources.iter().filter_map(|(class, _)| class.strip_prefix(CUSTOM));
    let names = passed.iter().map(|(alias, _)| *alias).chain(custom);
    let part = names.clone().chain(specs.keys().filter_map(|key| required_trait(key))).find_map(mig);
    let number = said("number").and_then(thousandths);
    let thousandths = number.unwrap_or(devices * part.map_or(1_000, |(part, _)| part));
    (thousandths > 0).then(|| Gpu {
        thousandths,
        shared: number.is_none() && part.is_none() && resources.iter().any(|(class, n)| *class == "VGPU" && *n > 0),
        vendor: said("vendor").map(str::to_owned),
        model: said("model").or_else(|| names.clone().next()).map(str::to_owned),
        memory_mib: said("memory")
            .and_then(self::thousandths)
            .map(|thousandths| thousandths * 1_024 / 1_000)
            .or(part.map(|(_, mib)| mib)),
    })
}

/// What Placement has before each class and trait of a site's own.
const CUSTOM: &str = "CUSTOM_";

/// Whether [`of`] reads this extra spec.
pub fn reads(key: &str) -> bool {
    key.to_lowercase().starts_with("accelerator:")
        || key == "pci_passthrough:alias"
        || resource(key).is_some()
        || required_trait(key).is_some()
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

/// The class of GPUs for which an extra spec asks as a resource: `resources`, a group, and a class that is a GPU's.
fn resource(key: &str) -> Option<&str> {
    let (group, class) = key.split_once(':')?;
    let is_ours = matches!(class, "VGPU" | "PGPU") || class.strip_prefix(CUSTOM).is_some_and(is_device);
    (group.starts_with("resources") && is_ours).then_some(class)
}

/// The trait that an extra spec requires, where its name has a profile of MIG.
fn required_trait(key: &str) -> Option<&str> {
    let (group, name) = key.split_once(':')?;
    (group.starts_with("trait") && mig(name).is_some()).then_some(name)
}

/// Whether a name can only be that of a GPU or a part of one.
fn is_device(name: &str) -> bool {
    is_gpu(name) || mig(name).is_some()
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
            shared: false,
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
        assert_eq!(
            short(&[("resources:CUSTOM_NVIDIA_A100", "2"), ("resources:CUSTOM_FPGA_U250", "1")]),
            (2_000, Some("NVIDIA_A100".into()))
        );
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
    fn a_virtual_gpu_is_a_share_unless_the_site_says_how_much_it_is() {
        let share = |pairs: &[(&str, &str)]| specs(pairs).map(|gpu| (gpu.thousandths, gpu.is_share()));
        assert_eq!(share(&[("resources:VGPU", "1")]), Some((1_000, true)));
        assert_eq!(share(&[("resources:PGPU", "1")]), Some((1_000, false)));
        let said = |number| [("Accelerator:Type", "GPU"), ("Accelerator:Number", number), ("resources:VGPU", "1")];
        assert_eq!(share(&said("0.5")), Some((500, true)));
        assert_eq!(share(&said("1.0")), Some((1_000, false)));
    }

    #[test]
    fn a_profile_of_mig_says_which_part_of_the_gpu_and_of_its_memory() {
        let mig = |pairs: &[(&str, &str)]| specs(pairs).map(|gpu| (gpu.thousandths, gpu.is_share(), gpu.memory_mib));
        let seventh = Some((143, true, Some(10_240)));
        assert_eq!(mig(&[("resources:CUSTOM_MIG_1G_10GB", "1")]), seventh);
        assert_eq!(mig(&[("resources:VGPU", "1"), ("trait:CUSTOM_A100_1G_10GB", "required")]), seventh);
        assert_eq!(mig(&[("pci_passthrough:alias", "a100-1g.10gb:2")]), Some((286, true, Some(10_240))));
        assert_eq!(mig(&[("pci_passthrough:alias", "a100-7g.80gb:1")]), Some((1_000, false, Some(81_920))));
        assert_eq!(mig(&[("trait:CUSTOM_A100_1G_10GB", "required")]), None, "a trait alone is no device");
        assert!(reads("trait:CUSTOM_MIG_1G_10GB") && !reads("trait:CUSTOM_NUMA"));
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
