//! Of what a Cloud object names.

use serde_json::json;

use super::{
    super::fake::{Said, Site},
    *,
};
use crate::cloud::{Cloud, Wanted};

fn named(id: &str, status: &str) -> Named {
    Named { id: id.to_owned(), status: Some(status.to_owned()) }
}

#[test]
fn a_name_must_mean_one_thing_that_works() {
    let wanted = NameOrId::Name("EL9".to_owned());
    assert_eq!(
        unique("image", &wanted, vec![named("1", "active"), named("2", "queued")], "active"),
        Ok("1".to_owned())
    );
    assert!(unique("image", &wanted, vec![], "active").unwrap_err().contains("no active image called \"EL9\""));
    let two = unique("network", &wanted, vec![named("1", "ACTIVE"), named("2", "ACTIVE")], "active").unwrap_err();
    assert!(two.contains("1, 2") && two.contains("by its id"), "{two}");
}

/// A Neutron where our project `p-1` has the group `pilots`, twice `twice`, and another project shares its own `pilots` and `theirs`.
async fn with_shared_groups() -> Site {
    Site::open(|asked| {
        if !asked.is("GET /network/v2.0/security-groups") {
            return None;
        }
        let all = [
            ("g-1", "pilots", "p-1"),
            ("g-2", "pilots", "p-2"),
            ("g-3", "theirs", "p-2"),
            ("g-4", "twice", "p-1"),
            ("g-5", "twice", "p-1"),
        ];
        let filter = |key: &str, value: &str| {
            let query = asked.line.split_once('?').map(|(_, query)| query).unwrap_or_default();
            let given = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{key}=")).map(str::to_owned));
            given.is_none_or(|given| given == value)
        };
        let found = all
            .iter()
            .filter(|(id, name, project)| filter("id", id) && filter("name", name) && filter("tenant_id", project));
        let found: Vec<_> =
            found.map(|(id, name, project)| json!({"id": id, "name": name, "tenant_id": project})).collect();
        Some(Said::json(200, &json!({"security_groups": found})))
    })
    .await
}

#[tokio::test]
async fn a_security_group_of_the_same_name_in_another_project_is_no_other_choice() {
    let site = with_shared_groups().await;
    let missing = async |group: &str| {
        let mut config = site.config();
        config.security_groups = vec![group.to_owned()];
        site.cloud_of(config).offers(&Wanted::default()).await.unwrap().missing
    };
    assert_eq!(missing("pilots").await, Vec::<String>::new());
    for by_id in ["g-1", "g-3", "g-5"] {
        assert_eq!(missing(by_id).await, Vec::<String>::new(), "{by_id}");
    }
    let twice = missing("twice").await;
    assert!(twice.len() == 1 && twice[0].contains("g-4, g-5") && twice[0].contains("id of one"), "{twice:?}");
    for absent in ["theirs", "nobody"] {
        let sentence = missing(absent).await;
        assert!(sentence.len() == 1 && sentence[0].contains("securityGroups"), "Nova would refuse it: {sentence:?}");
    }
}

#[tokio::test]
async fn a_root_volume_that_cannot_hold_the_image_is_said() {
    let site = Site::open(|asked| {
        let image = json!({"id": "i-1", "status": "active", "min_disk": 30});
        asked.is("GET /image/v2/images").then(|| Said::json(200, &json!({"images": [image]})))
    })
    .await;
    let missing = async |gib| {
        let mut config = site.config();
        config.images.insert("default".to_owned(), NameOrId::Name("EL9".to_owned()));
        config.root_volume_gib = gib;
        site.cloud_of(config).offers(&Wanted::default()).await.unwrap().missing
    };
    let small = missing(Some(20)).await;
    assert!(
        small.iter().any(|s| s.contains("needs a disk of 30 GiB") && s.contains("rootVolumeGiB is 20")),
        "{small:?}"
    );
    for enough in [Some(30), None] {
        let missing = missing(enough).await;
        assert!(!missing.iter().any(|s| s.contains("needs a disk")), "{enough:?}: {missing:?}");
    }
}
