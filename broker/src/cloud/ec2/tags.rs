//! The tags by which our instances, and what belongs to them, are known.
//!
//! Instance metadata shows tags whose keys have letters, digits and `+ - = . , _ : @` only (EC2 User Guide, "View tags for your EC2 instances
//! using instance metadata"): so no slash.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, Tag};

use crate::cloud::{Order, Owner};

/// Whose operator made it: the cluster's id.
pub const CLUSTER: &str = "dirac-operator:cluster";
/// For which PilotVM it was made: the UID.
pub const PILOT_VM: &str = "dirac-operator:pilotvm";
/// What a person sees first.
pub const NAME: &str = "Name";

/// All tags of an order's instance.
pub fn of(order: &Order) -> Vec<Tag> {
    let own = [(CLUSTER, &order.owner.cluster), (PILOT_VM, &order.owner.uid), (NAME, &order.name)];
    let own = own.into_iter().map(|(key, value)| tag(key, value));
    own.chain(order.metadata.iter().map(|(key, value)| tag(key, value))).collect()
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

/// Whose it is, when it carries both tags.
pub fn owner(tags: &[Tag]) -> Option<Owner> {
    let tags: BTreeMap<&str, &str> = tags.iter().filter_map(|tag| Some((tag.key()?, tag.value()?))).collect();
    Some(Owner { cluster: (*tags.get(CLUSTER)?).to_owned(), uid: (*tags.get(PILOT_VM)?).to_owned() })
}

/// The name that it was given.
pub fn name(tags: &[Tag]) -> String {
    tags.iter().find(|tag| tag.key() == Some(NAME)).and_then(|tag| tag.value()).unwrap_or_default().to_owned()
}

/// What has this tag.
pub fn with(key: &str, value: &str) -> Filter {
    is(&format!("tag:{key}"), [value])
}

/// Values of one filter: EC2 takes 200.
pub const MOST_VALUES: usize = 200;

/// A filter: the property has one of these values.
pub fn is<'a>(property: &str, values: impl IntoIterator<Item = &'a str>) -> Filter {
    Filter::builder().name(property).set_values(Some(values.into_iter().map(str::to_owned).collect())).build()
}
