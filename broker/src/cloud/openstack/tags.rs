//! The tags by which our servers are known. Nova takes tags of at most 60 characters without comma and slash.

use crate::cloud::Owner;

/// Begins every tag of ours.
pub const COMMON: &str = "dirac-";
/// Bytes of a tag: our tags are ASCII.
pub const LONGEST: usize = 60;
/// Carried by every server of every dirac-operator.
pub const OURS: &str = "dirac-operator";
const CLUSTER: &str = "dirac-cluster-";
/// Begins the tag of one owner.
pub const PVM: &str = "dirac-pvm-";

/// All tags of one owner's server.
pub fn of(owner: &Owner) -> [String; 3] {
    [OURS.to_owned(), cluster(&owner.cluster), format!("{PVM}{}", owner.uid)]
}

/// The tag by which all VMs of one cluster are found.
pub fn cluster(cluster: &str) -> String {
    format!("{CLUSTER}{cluster}")
}

/// Whose a server is, when it carries all three tags.
pub fn owner(tags: &[String]) -> Option<Owner> {
    let rest = |prefix: &str| tags.iter().find_map(|tag| tag.strip_prefix(prefix)).map(str::to_owned);
    if !tags.iter().any(|tag| tag == OURS) {
        return None;
    }
    Some(Owner { cluster: rest(CLUSTER)?, uid: rest(PVM)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_survives_its_tags_and_strangers_have_none() {
        let owner = Owner { cluster: "c-1".into(), uid: "u-1".into() };
        assert_eq!(super::owner(&of(&owner)), Some(owner));
        let strangers: [&[&str]; 3] =
            [&["dirac-operator"], &["dirac-cluster-c-1", "dirac-pvm-u-1"], &["dirac-operator-2", "dirac-cluster-c-1"]];
        for tags in strangers {
            let tags: Vec<String> = tags.iter().map(|&t| t.to_owned()).collect();
            assert_eq!(super::owner(&tags), None, "{tags:?}");
        }
    }
}
