//! What orders name, as it was last read: images, types, and the subnets of each zone.

use std::collections::BTreeMap;

use crate::cloud::{CloudError, quote::shortened};

/// What orders need of the account.
#[derive(Clone, Debug, Default)]
pub struct Resolved {
    /// Images by id.
    pub images: BTreeMap<String, ImageFacts>,
    /// The processor architectures of each type that was read.
    pub types: BTreeMap<String, Vec<String>>,
    /// The subnets, in order of preference.
    pub subnets: Vec<Subnet>,
    /// A sentence for each thing without which no instance is made as the Cloud object wants it.
    pub refused: Vec<String>,
}

/// What an order needs of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageFacts {
    pub id: String,
    /// As the Linux kernel calls it.
    pub arch: String,
    pub root_device: String,
    /// Size of its root volume in GiB.
    pub gib: u64,
}

/// A subnet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subnet {
    pub id: String,
    pub zone: String,
    pub vpc: String,
    /// Addresses that are free.
    pub free: i32,
}

impl Resolved {
    /// The image of an order.
    pub fn image(&self, id: &str) -> Result<&ImageFacts, CloudError> {
        self.images.get(id).ok_or_else(|| {
            CloudError::Invalid(format!(
                "there is no image {} that this account can use: correct spec.images",
                shortened(id)
            ))
        })
    }

    /// An error where the image is not for the processor of the type. Of a type that was not read EC2 itself says what is wrong.
    pub fn suits(&self, image: &ImageFacts, flavor: &str) -> Result<(), CloudError> {
        let Some(architectures) = self.types.get(flavor) else { return Ok(()) };
        if architectures.contains(&image.arch) {
            return Ok(());
        }
        Err(CloudError::Invalid(format!(
            "image {} is for {} and type {flavor} for {}: name an image for that processor, or other types",
            image.id,
            image.arch,
            architectures.join(", ")
        )))
    }

    /// The subnets of a zone, or all; those with free addresses first.
    pub fn subnets_in(&self, zone: Option<&str>) -> Result<Vec<&Subnet>, CloudError> {
        let mut there: Vec<&Subnet> =
            self.subnets.iter().filter(|subnet| zone.is_none_or(|zone| subnet.zone == zone)).collect();
        there.sort_by_key(|subnet| subnet.free <= 0);
        if there.is_empty() {
            let zone = zone.map_or_else(|| "no subnet".to_owned(), |zone| format!("no subnet in zone {zone}"));
            return Err(CloudError::Invalid(format!("the cloud has {zone}: add one to spec.ec2.subnets")));
        }
        Ok(there)
    }
}

/// A processor architecture as the Linux kernel calls it, from EC2's word.
pub fn arch(word: &str) -> String {
    match word {
        "arm64" => "aarch64",
        "i386" => "i686",
        other => other.trim_end_matches("_mac"),
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(id: &str, zone: &str, free: i32) -> Subnet {
        Subnet { id: id.to_owned(), zone: zone.to_owned(), vpc: "v".to_owned(), free }
    }

    #[test]
    fn an_image_for_another_processor_is_refused_with_both_named() {
        let image = ImageFacts { id: "ami-1".to_owned(), arch: arch("arm64"), ..ImageFacts::default() };
        let types = BTreeMap::from([("c5.large".to_owned(), vec!["x86_64".to_owned()])]);
        let resolved = Resolved { types, ..Resolved::default() };
        let error = resolved.suits(&image, "c5.large").unwrap_err().to_string();
        assert!(error.contains("aarch64") && error.contains("x86_64"), "{error}");
        assert_eq!(resolved.suits(&image, "not-read.large"), Ok(()));
    }

    #[test]
    fn subnets_with_free_addresses_come_first_and_the_others_are_not_forgotten() {
        let subnets = vec![subnet("a", "z1", 0), subnet("b", "z1", 9), subnet("c", "z2", 3)];
        let resolved = Resolved { subnets, ..Resolved::default() };
        let ids = |zone| resolved.subnets_in(zone).unwrap().iter().map(|subnet| subnet.id.as_str()).collect::<Vec<_>>();
        assert_eq!(ids(Some("z1")), ["b", "a"]);
        assert_eq!(ids(None), ["b", "c", "a"]);
        assert!(resolved.subnets_in(Some("z9")).is_err());
    }
}
