//! The classes in which AWS counts vCPUs: one for each family of instance types and way of paying.
//!
//! Codes of Service Quotas as in the EC2 User Guide, "Amazon EC2 instance type quotas", and, for Spot, "Spot Instance limits".

use crate::cloud::Purchase;

/// A family of types: the letters with which they begin, and the codes of its quotas, on demand and Spot.
struct Family {
    begins: &'static [&'static str],
    on_demand: &'static str,
    spot: Option<&'static str>,
}

/// The first that fits counts.
const FAMILIES: [Family; 9] = [
    Family { begins: &["inf"], on_demand: "L-1945791B", spot: Some("L-B5D1601B") },
    Family { begins: &["trn"], on_demand: "L-2C3B7624", spot: Some("L-6B0D517C") },
    Family { begins: &["hpc"], on_demand: "L-F7808C92", spot: None },
    Family { begins: &["dl"], on_demand: "L-6E869C2A", spot: Some("L-85EED4F7") },
    Family { begins: &["u-", "u7"], on_demand: "L-43DA4232", spot: None },
    Family { begins: &["g", "vt"], on_demand: "L-DB2E81BA", spot: Some("L-3819A6DF") },
    Family { begins: &["p"], on_demand: "L-417A185B", spot: Some("L-7212CCBC") },
    Family { begins: &["f"], on_demand: "L-74FC7D96", spot: Some("L-88CF9481") },
    Family { begins: &["x"], on_demand: "L-7295265B", spot: Some("L-E3A00192") },
];

/// All others: A, C, D, H, I, M, R, T and Z.
const STANDARD: Family = Family { begins: &[], on_demand: "L-1216C47A", spot: Some("L-34B43A08") };

/// The class against which a type counts, by the code of its quota.
pub fn class(flavor: &str, purchase: Purchase) -> &'static str {
    let family = FAMILIES.iter().find(|family| family.begins.iter().any(|begin| flavor.starts_with(begin)));
    let family = family.unwrap_or(&STANDARD);
    match purchase {
        Purchase::OnDemand => family.on_demand,
        Purchase::Spot => family.spot.unwrap_or(family.on_demand),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_counts_against_the_quota_of_its_family_and_way_of_paying() {
        let class = |flavor| [class(flavor, Purchase::OnDemand), class(flavor, Purchase::Spot)];
        assert_eq!(class("c5.large"), ["L-1216C47A", "L-34B43A08"]);
        assert_eq!(class("g5.xlarge"), ["L-DB2E81BA", "L-3819A6DF"]);
        assert_eq!(class("p4d.24xlarge"), ["L-417A185B", "L-7212CCBC"]);
        assert_eq!(class("inf2.xlarge"), ["L-1945791B", "L-B5D1601B"]);
        assert_eq!(class("i4i.large"), class("m7i.large"), "I is standard, and inf is not");
        assert_eq!(class("hpc7a.12xlarge"), ["L-F7808C92"; 2]);
    }
}
