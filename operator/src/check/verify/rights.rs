//! Every right that the operator needs, and how they are asked for. The chart gives the same; a test holds both against each other.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};

use crate::args::Verify;

/// Group of our kinds.
pub const OURS: &str = "diracgrid.org";

/// In each namespace that is looked after: group, resources, verbs.
const WITHIN: [(&str, &[&str], &[&str]); 7] = [
    (
        OURS,
        &["diracinstallations", "virtualorganizations", "sites", "clouds", "pilotpools", "downtimes"],
        &["list", "watch"],
    ),
    (
        OURS,
        &[
            "diracinstallations/status",
            "virtualorganizations/status",
            "sites/status",
            "clouds/status",
            "pilotpools/status",
            "downtimes/status",
            "pilotvms/status",
        ],
        &["patch"],
    ),
    (OURS, &["diracinstallations", "clouds", "pilotpools"], &["patch"]),
    (OURS, &["pilotvms"], &["get", "list", "watch", "create", "patch", "delete"]),
    ("", &["secrets"], &["get", "patch"]),
    ("", &["configmaps"], &["list", "create", "patch", "delete"]),
    ("events.k8s.io", &["events"], &["create"]),
];

/// One resource in one namespace, with all verbs that are needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Right {
    /// Empty: all of them, or a resource of the cluster.
    pub namespace: String,
    pub group: &'static str,
    /// With its subresource, for example `clouds/status`.
    pub resource: &'static str,
    pub name: Option<String>,
    pub verbs: &'static [&'static str],
}

impl Right {
    /// The resource, and its subresource.
    fn parts(&self) -> (&'static str, Option<&'static str>) {
        self.resource.split_once('/').map_or((self.resource, None), |(resource, below)| (resource, Some(below)))
    }

    /// What it is for, in the words of a sentence.
    pub fn place(&self) -> String {
        let (plain, below) = self.parts();
        let dot = if self.group.is_empty() { "" } else { "." };
        let below = below.map(|word| format!("/{word}")).unwrap_or_default();
        let name = self.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
        let place = match self.namespace.as_str() {
            "" if self.resource == "namespaces" => String::new(),
            "" => " in all namespaces".to_owned(),
            one => format!(" in namespace {one}"),
        };
        format!("{plain}{dot}{}{below}{name}{place}", self.group)
    }

    /// The question whether we have it, for one of its verbs.
    pub fn review(&self, verb: &str) -> SelfSubjectAccessReview {
        let (resource, below) = self.parts();
        let attributes = ResourceAttributes {
            group: Some(self.group.to_owned()),
            name: self.name.clone(),
            namespace: Some(self.namespace.clone()),
            resource: Some(resource.to_owned()),
            subresource: below.map(str::to_owned),
            verb: Some(verb.to_owned()),
            ..ResourceAttributes::default()
        };
        SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() },
            ..Default::default()
        }
    }
}

/// All of them.
pub fn needed(Verify { release, secret_names }: &Verify) -> Vec<Right> {
    let everywhere = [String::new()];
    let namespaces = if release.watch_namespaces.is_empty() { &everywhere[..] } else { &release.watch_namespaces };
    let plain = |namespace: &str, group, resource, verbs| Right {
        namespace: namespace.to_owned(),
        group,
        resource,
        name: None,
        verbs,
    };
    let mut rights = Vec::new();
    for namespace in namespaces {
        for (group, resources, verbs) in WITHIN {
            for resource in resources {
                let right = plain(namespace, group, resource, verbs);
                if *resource == "secrets" && !secret_names.is_empty() {
                    let named = |name: &String| Right { name: Some(name.clone()), ..right.clone() };
                    rights.extend(secret_names.iter().map(named));
                } else {
                    rights.push(right);
                }
            }
        }
    }
    rights.push(plain(&release.namespace, "coordination.k8s.io", "leases", &["get", "create", "patch"]));
    if release.cluster_id.is_none() {
        rights.push(Right { name: Some("kube-system".to_owned()), ..plain("", "", "namespaces", &["get"]) });
        rights.push(plain("", OURS, "pilotvms", &["list"]));
    }
    rights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Release;

    fn places(args: &Verify) -> Vec<String> {
        needed(args).iter().map(Right::place).collect()
    }

    #[test]
    fn a_right_is_asked_for_in_each_namespace_and_each_secret_by_its_name_where_names_are_given() {
        let home = Release { namespace: "dirac".to_owned(), ..Release::default() };
        let watch_namespaces = vec!["a".to_owned(), "b".to_owned()];
        let two = Release { watch_namespaces, cluster_id: Some("lyon".to_owned()), ..home.clone() };
        let home = Verify { release: home, ..Verify::default() };
        let two = Verify { release: two, ..Verify::default() };
        let named = Verify { secret_names: vec!["x".to_owned(), "y".to_owned()], ..two.clone() };
        for namespace in ["a", "b"] {
            assert!(places(&two).contains(&format!("clouds.diracgrid.org/status in namespace {namespace}")));
            assert!(places(&two).contains(&format!("secrets in namespace {namespace}")));
        }
        assert!(!places(&two).iter().any(|place| place.contains("all namespaces") || place.contains("kube-system")));
        assert!(places(&named).contains(&"secrets y in namespace b".to_owned()));
        assert!(!places(&named).contains(&"secrets in namespace b".to_owned()));
        let all = places(&home);
        assert!(all.contains(&"secrets in all namespaces".to_owned()), "{all:?}");
        assert!(
            all.contains(&"namespaces kube-system".to_owned())
                && all.contains(&"leases.coordination.k8s.io in namespace dirac".to_owned())
        );
    }

    #[test]
    fn a_question_names_the_subresource_apart() {
        let right =
            Right { namespace: "a".to_owned(), group: OURS, resource: "clouds/status", name: None, verbs: &["patch"] };
        let asked = right.review("patch").spec.resource_attributes.unwrap();
        assert_eq!((asked.resource.as_deref(), asked.subresource.as_deref()), (Some("clouds"), Some("status")));
    }
}
