use serde_json::json;

use super::*;
use crate::services::catalogue::chosen;

fn published(more: Value) -> Result<Cfg, Wrong> {
    let more = serde_json::from_value(more).unwrap();
    let chosen = chosen(None).unwrap();
    let basis = Basis {
        host: "dirac.example.org",
        host_dn: "/O=DIRAC/CN=dirac.example.org",
        version: "9.1.22",
        chosen: &chosen,
        more: &more,
        stores: &Stores::default(),
    };
    basis.published()
}

#[test]
fn every_service_has_its_address_under_the_one_host_name() {
    let cfg = published(json!({})).unwrap();
    let matcher = cfg.option("/Systems/WorkloadManagement/URLs/Matcher");
    assert_eq!(matcher, Some("dips://dirac.example.org:9170/WorkloadManagement/Matcher"));
    assert_eq!(cfg.option("/Registry/Hosts/dirac.example.org/DN"), Some("/O=DIRAC/CN=dirac.example.org"));
    assert_eq!(
        cfg.option("/Operations/Defaults/SoftwareDistModule"),
        Some(""),
        "DiracX's default has no module in DIRAC"
    );
    assert_eq!(Cfg::parse(&cfg.to_string()).unwrap(), cfg);
}

#[test]
fn what_the_manifest_says_holds_and_is_written_as_dirac_writes_it() {
    let more = json!({"Operations": {"Defaults": {"Pilot": {"CheckVersion": true, "Tags": ["a", "b"], "N": 3, "None": null}}}});
    let cfg = published(more).unwrap();
    let pilot = |name: &str| cfg.option(&format!("/Operations/Defaults/Pilot/{name}"));
    assert_eq!(
        (pilot("CheckVersion"), pilot("Tags"), pilot("N"), pilot("None")),
        (Some("True"), Some("a, b"), Some("3"), Some(""))
    );
    assert_eq!(pilot("Version"), Some("9.1.22"), "the rest stays");
}

#[test]
fn no_value_of_the_manifest_begins_a_line_or_a_section_of_its_own() {
    let hosts = "x\n}\nRegistry\n{\n";
    for (more, said) in [
        (json!({"Operations": {"Motto": hosts}}), "several lines at /Operations/Motto"),
        (json!({"Operations": {"List": ["a", hosts]}}), "several lines at /Operations/List"),
        (json!({"Operations": {"A/B": "x"}}), "cannot be a name"),
        (json!({"Operations": {"A {": {"B": "x"}}}), "cannot be a name"),
        (json!({"": "x"}), "cannot be a name"),
        (json!({"Systems": "x"}), "where a section stands"),
        (json!({"DiracX": {"URL": {"x": "y"}}}), "on the way is an option"),
    ] {
        let wrong = published(more).unwrap_err();
        assert!(wrong.contains(said), "{wrong}");
    }
}
