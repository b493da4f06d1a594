//! GPUs of a flavor, read from its extra specs.

use std::collections::BTreeMap;

/// How many GPUs a flavor has, and of which model.
///
/// * `resources:VGPU=n`, and `resources1:VGPU` in a group of its own (Nova's "Attaching virtual GPU devices to guests");
/// * `pci_passthrough:alias=name:n[,name:n]` (Nova's "Attaching physical PCI devices to guests"): the alias is the site's own word, so
///   it counts as GPU unless `accelerator:type` says something else or the name speaks of a network card;
/// * `accelerator:number`, `accelerator:type`, `accelerator:model`: the properties that EGI asks its sites to publish.
pub fn of(specs: &BTreeMap<String, String>) -> (u32, Option<String>) {
    let kind = specs.get("accelerator:type").map(|t| t.to_lowercase());
    if kind.as_deref().is_some_and(|k| k != "gpu") {
        return (0, None);
    }
    let virtual_ones: u32 = specs
        .iter()
        .filter(|(key, _)| key.starts_with("resources") && key.ends_with(":VGPU"))
        .filter_map(|(_, n)| n.trim().parse::<u32>().ok())
        .fold(0, u32::saturating_add);
    let mut count = virtual_ones;
    let mut model = None;
    for (alias, n) in specs.get("pci_passthrough:alias").map(|text| aliases(text)).unwrap_or_default() {
        let network = ["nic", "net", "sriov", "infiniband"].iter().any(|word| alias.to_lowercase().contains(word));
        if !network {
            count = count.saturating_add(n);
            model.get_or_insert(alias);
        }
    }
    if let Some(said) = specs.get("accelerator:number").and_then(|n| n.trim().parse::<u32>().ok()) {
        count = said;
    }
    let model = specs.get("accelerator:model").cloned().or(model);
    (count, model.filter(|_| count > 0))
}

fn aliases(text: &str) -> Vec<(String, u32)> {
    let one = |part: &str| {
        let (name, n) = part.trim().split_once(':')?;
        Some((name.trim().to_owned(), n.trim().parse().ok()?))
    };
    text.split(',').filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs(pairs: &[(&str, &str)]) -> (u32, Option<String>) {
        of(&pairs.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect())
    }

    #[test]
    fn virtual_and_passed_through_gpus_are_counted_and_network_cards_are_not() {
        assert_eq!(specs(&[]), (0, None));
        assert_eq!(specs(&[("resources:VGPU", "1")]), (1, None));
        assert_eq!(specs(&[("pci_passthrough:alias", "a100:2, sriov-nic:1")]), (2, Some("a100".into())));
        assert_eq!(
            specs(&[("pci_passthrough:alias", "a100:1"), ("accelerator:type", "GPU"), ("accelerator:model", "A100")]),
            (1, Some("A100".into()))
        );
        assert_eq!(specs(&[("pci_passthrough:alias", "f1:1"), ("accelerator:type", "FPGA")]), (0, None));
        assert_eq!(specs(&[("pci_passthrough:alias", "nonsense"), ("resources:VGPU", "many")]), (0, None));
    }
}
