//! What is lacking is found, named with the lines that cure it, and cured by them; what cannot be read is unknown.

use super::*;

const DN: &str = "/C=ch/O=TestGrid/CN=opuser";
const HOST: &str = "/C=ch/O=TestGrid/CN=operator.example.org";
const QUEUE: &str = "/Resources/Sites/CLOUD/CLOUD.Lyon.fr/CEs/ce.lyon/Queues/c8";

/// What DIRAC needs, whole.
const WHOLE: &str = include_str!("whole.cfg");

fn group(name: &str, properties: &[&str]) -> Group {
    Group { name: name.into(), properties: properties.iter().map(|p| (*p).to_owned()).collect() }
}

fn wanted() -> Wanted {
    Wanted {
        operator: Operator { group: "biomed_admin".into(), gives_back: false },
        vos: vec![Vo {
            name: "biomed".into(),
            groups: vec![group("biomed_user", &["NormalUser"]), group("biomed_pilot", &["GenericPilot"])],
            pilot_group: "biomed_pilot".into(),
        }],
        sites: vec![Site { name: "CLOUD.Lyon.fr".into() }],
        queues: vec![Queue {
            site: "CLOUD.Lyon.fr".into(),
            ce: "ce.lyon".into(),
            name: "c8".into(),
            sizes: vec![Size { cores: 8, ram_mib: 16_384 }],
            cpu_seconds: 86_430,
            end_seconds: 600_000,
            tags: vec!["GPU".into(), "Fast".into()],
            required_tags: vec!["GPU".into()],
        }],
        unknown: vec![],
    }
}

fn said(cfg: Cfg) -> Said {
    Said {
        dn: Some(DN.into()),
        configuration: Ok(cfg),
        site_status: Ok(BTreeMap::from([("CLOUD.Lyon.fr".to_owned(), "Active".to_owned())])),
        services: BTreeMap::from([("Matcher", Answer::Yes), ("PilotManager", Answer::Yes)]),
    }
}

fn whole() -> Cfg {
    Cfg::parse(WHOLE).unwrap()
}

/// What is not as it must be.
fn lacking(said: &Said, wanted: &Wanted) -> Vec<Finding> {
    check(said, wanted).into_iter().filter(|finding| finding.state != State::Met).collect()
}

#[test]
fn a_dirac_that_knows_everything_lacks_nothing() {
    let findings = check(&said(whole()), &wanted());
    assert_eq!(lacking(&said(whole()), &wanted()), []);
    assert!(findings.len() > 12, "{findings:#?}");
    assert!(lines(&findings).is_none());
}

/// Each thing that may lack: what is taken out or set, where that is found, and a part of what is said. The lines cure it.
#[test]
fn each_thing_that_lacks_is_found_where_it_stands_and_cured_by_its_lines() {
    let (pilot, admin) = ("/Registry/Groups/biomed_pilot", "/Registry/Groups/biomed_admin");
    let cases: &[(&str, Option<&str>, &str, &str)] = &[
        ("/Registry/Users/opuser", None, "/Registry/Users/dirac-operator", "no user with it"),
        (admin, None, admin, "no such group"),
        (&format!("{admin}/Users"), Some("somebody"), &format!("{admin}/Users"), "somebody"),
        (&format!("{admin}/Properties"), Some("Operator"), &format!("{admin}/Properties"), "Operator"),
        (pilot, None, pilot, "no such group"),
        (&format!("{pilot}/VO"), Some("enmr"), &format!("{pilot}/VO"), "enmr"),
        (&format!("{pilot}/Properties"), None, &format!("{pilot}/Properties"), "nothing"),
        ("/Registry/Groups/biomed_user/Properties", None, "/Registry/Groups/biomed_user/Properties", "nothing"),
        ("/Resources", None, "/Resources/Sites/CLOUD/CLOUD.Lyon.fr", "no such site"),
        (
            "/Resources/Sites/CLOUD/CLOUD.Lyon.fr/CEs",
            None,
            "/Resources/Sites/CLOUD/CLOUD.Lyon.fr/CEs/ce.lyon",
            "no such computing element",
        ),
        (QUEUE, None, QUEUE, "no such queue"),
        (&format!("{QUEUE}/NumberOfProcessors"), None, &format!("{QUEUE}/NumberOfProcessors"), "nothing"),
        (&format!("{QUEUE}/NumberOfProcessors"), Some("4"), &format!("{QUEUE}/NumberOfProcessors"), "4"),
        (&format!("{QUEUE}/MaxRAM"), Some("16000"), &format!("{QUEUE}/MaxRAM"), "16000"),
        (&format!("{QUEUE}/MaxRAM"), Some("17181"), &format!("{QUEUE}/MaxRAM"), "17181"),
        (&format!("{QUEUE}/maxCPUTime"), Some("1440"), &format!("{QUEUE}/maxCPUTime"), "1440"),
        (&format!("{QUEUE}/maxCPUTime"), Some("10001"), &format!("{QUEUE}/maxCPUTime"), "10001"),
        (&format!("{QUEUE}/Tag"), Some("SGX"), &format!("{QUEUE}/Tag"), "Fast, SGX"),
        (&format!("{QUEUE}/RequiredTag"), None, &format!("{QUEUE}/RequiredTag"), "nothing"),
    ];
    for (path, value, place, found) in cases {
        let mut cfg = whole();
        match value {
            Some(value) => cfg.set(path, value),
            None => cfg.take_out(path),
        }
        let findings = lacking(&said(cfg.clone()), &wanted());
        let one = findings.iter().find(|f| f.place == *place).unwrap_or_else(|| panic!("{path}: {findings:#?}"));
        assert_eq!((one.state, one.found.as_str()), (State::Missing, *found), "{path}");
        // The lines are read as text, as an administrator pastes them.
        let text = lines(&findings).unwrap_or_else(|| panic!("{path}: no lines")).to_string();
        let patch = Cfg::parse(&text).unwrap();
        put(&mut cfg, &patch, "");
        let left = lacking(&said(cfg), &wanted());
        // Who is in a group that is made is not for us to say.
        assert!(left.iter().all(|f| f.place.ends_with("biomed_pilot/Users")), "{path}: {text}{left:#?}");
    }
}

/// Puts a piece of configuration in, as DIRAC's `mergeFromFile` does.
fn put(cfg: &mut Cfg, patch: &Cfg, at: &str) {
    for (name, value) in patch.options() {
        cfg.set(&format!("{at}/{name}"), value);
    }
    for (name, section) in patch.sections() {
        put(cfg, section, &format!("{at}/{name}"));
    }
}

#[test]
fn a_finding_that_no_line_cures_has_a_step() {
    let steps = |said: &Said, wanted: &Wanted| -> Vec<String> {
        lacking(said, wanted).into_iter().flat_map(|f| f.steps).collect()
    };
    let mut suspended = whole();
    suspended.set("/Registry/Users/opuser/Suspended", "enmr, biomed");
    assert_eq!(steps(&said(suspended), &wanted()).len(), 1);
    let mut together = whole();
    together.set("/DIRAC/VirtualOrganization", "biomed");
    assert!(steps(&said(together.clone()), &wanted())[0].contains("/DIRAC/VirtualOrganization"));
    together.take_out("/Registry/Groups/enmr_user");
    assert_eq!(lacking(&said(together), &wanted()), [], "with one VO it does no harm");
    let mut nobody = whole();
    nobody.take_out("/Registry/Groups/biomed_pilot/Users");
    assert!(steps(&said(nobody), &wanted())[0].contains("biomed_pilot/Users"));
    let mut beyond = whole();
    beyond.set(&format!("{QUEUE}/RequiredTag"), "GPU, SGX");
    assert!(steps(&said(beyond), &wanted())[0].starts_with("take SGX out"));
}

#[test]
fn a_site_outside_the_mask_is_missing_and_a_mask_that_cannot_be_read_is_unknown() {
    let with = |status: Result<BTreeMap<String, String>, Unread>| {
        let mut all = lacking(&Said { site_status: status, ..said(whole()) }, &wanted());
        assert!(all.len() < 2, "{all:#?}");
        all.pop().map(|f| (f.state, f.found, f.steps.len()))
    };
    let of = |status: &str| Ok(BTreeMap::from([("CLOUD.Lyon.fr".to_owned(), status.to_owned())]));
    assert_eq!(with(of("Degraded")), None);
    assert_eq!(with(of("Banned")), Some((State::Missing, "Banned".to_owned(), 1)));
    assert_eq!(with(Ok(BTreeMap::new())), Some((State::Missing, "no status".to_owned(), 2)));
    let unread = Unread { fault: Fault::Unreachable, message: "no answer".into() };
    assert_eq!(with(Err(unread)), Some((State::Unknown, "no answer".to_owned(), 0)));
}

#[test]
fn a_configuration_that_cannot_be_read_is_unknown_and_nothing_is_missing() {
    let unread = Unread { fault: Fault::Timeout, message: "no answer in time".into() };
    let all = lacking(&Said { configuration: Err(unread), ..said(whole()) }, &wanted());
    assert_eq!(all.iter().map(|f| (f.state, f.fault)).collect::<Vec<_>>(), [(State::Unknown, Some(Fault::Timeout))]);
}

#[test]
fn a_certificate_that_dirac_lets_in_nowhere_is_missing_and_no_list_is_given_whole() {
    let unread = Unread { fault: Fault::Unauthorized, message: "no".into() };
    let mut wanted = wanted();
    for (group, path) in [("biomed_admin", "/Registry/Users/dirac-operator/DN"), ("hosts", "/Registry/Hosts/opuser/DN")]
    {
        wanted.operator.group = group.into();
        let all = lacking(&Said { configuration: Err(unread.clone()), ..said(whole()) }, &wanted);
        assert_eq!(all.iter().map(|f| f.state).collect::<Vec<_>>(), [State::Unknown, State::Missing]);
        assert_eq!(all[1].options, [(path.to_owned(), DN.to_owned())]);
        assert!(all[1].steps[0].contains("JobAdministrator, Operator"), "{all:#?}");
    }
}

#[test]
fn a_user_of_our_name_keeps_its_other_certificate() {
    let mut cfg = whole();
    cfg.take_out("/Registry/Users/opuser");
    cfg.set("/Registry/Users/dirac-operator/DN", "/CN=old");
    let all = lacking(&said(cfg), &wanted());
    assert_eq!(all[0].options, [("/Registry/Users/dirac-operator/DN".to_owned(), format!("/CN=old, {DN}"))]);
}

#[test]
fn a_service_that_refuses_lacks_something_and_one_that_is_away_is_unknown() {
    for (fault, state) in [
        (Fault::Unauthorized, State::Missing),
        (Fault::UnknownMethod, State::Missing),
        (Fault::Unreachable, State::Unknown),
        (Fault::Timeout, State::Unknown),
    ] {
        let answer = Answer::No(Unread { fault, message: "its words".into() });
        let all = lacking(&Said { services: BTreeMap::from([("Matcher", answer)]), ..said(whole()) }, &wanted());
        assert_eq!((all.len(), all[0].state, all[0].found.as_str()), (1, state, "its words"), "{fault}");
    }
}

#[test]
fn a_host_certificate_is_looked_for_among_hosts() {
    let mut wanted = wanted();
    wanted.operator.group = "hosts".into();
    let host = |cfg: Cfg| Said { dn: Some(HOST.into()), ..said(cfg) };
    assert_eq!(lacking(&host(whole()), &wanted), []);
    let mut none = whole();
    none.take_out("/Registry/Hosts");
    let all = lacking(&host(none), &wanted);
    let text = lines(&all).unwrap().to_string();
    assert_eq!(all.len(), 1);
    assert!(
        text.contains("    operator.example.org\n")
            && text.contains("Properties = JobAdministrator\n      Properties += Operator"),
        "{text}"
    );
    let nameless = lacking(&Said { dn: None, ..said(whole()) }, &wanted);
    assert_eq!((nameless[0].state, nameless[0].fault), (State::Unknown, Some(Fault::BadCredentials)));
}

#[test]
fn what_dirac_s_own_rules_allow_needs_no_property() {
    let rule = |method: &str, value: &str, properties: &str| {
        let mut cfg = whole();
        cfg.set(&format!("/Systems/WorkloadManagement/Services/Matcher/Authorization/{method}"), value);
        cfg.set("/Registry/Groups/biomed_admin/Properties", properties);
        lacking(&said(cfg), &wanted()).into_iter().flat_map(|f| f.options).map(|(_, value)| value).collect::<Vec<_>>()
    };
    assert_eq!(rule("Default", "authenticated", "Operator"), [""; 0]);
    assert_eq!(
        rule("getActiveTaskQueues", "JobMonitor, ServiceAdministrator", "Operator, ServiceAdministrator"),
        [""; 0]
    );
    assert_eq!(rule("getActiveTaskQueues", "JobMonitor", "Operator"), ["Operator, JobMonitor"]);
    assert_eq!(rule("getActiveTaskQueues", "JobAdministrator", "Operator"), ["Operator, JobAdministrator"]);
}

#[test]
fn a_queue_with_vms_of_several_sizes_takes_what_the_machine_has() {
    let mut wanted = wanted();
    wanted.queues[0].sizes.push(Size { cores: 16, ram_mib: 32_768 });
    wanted.queues[0].tags.push("SGX".into());
    let all = lacking(&said(whole()), &wanted);
    let mut cfg = whole();
    put(&mut cfg, &lines(&all).unwrap(), "");
    assert_eq!(cfg.list(&format!("{QUEUE}/Tag")), ["GPU", "WholeNode", "SGX"]);
    assert_eq!(lacking(&said(cfg), &wanted), []);
}

#[test]
fn who_gives_jobs_back_needs_to_be_a_jobadministrator_whatever_the_services_are_told() {
    let mut cfg = whole();
    cfg.set("/Systems/WorkloadManagement/Services/Matcher/Authorization/getActiveTaskQueues", "Operator");
    cfg.set("/Registry/Groups/biomed_admin/Properties", "Operator");
    assert_eq!(lacking(&said(cfg.clone()), &wanted()), [], "the rest of the operator's work needs no more");
    let wanted = Wanted { operator: Operator { gives_back: true, ..wanted().operator }, ..wanted() };
    let all = lacking(&said(cfg), &wanted);
    let options: Vec<_> = all.into_iter().flat_map(|f| f.options).collect();
    let properties = "/Registry/Groups/biomed_admin/Properties".to_owned();
    assert_eq!(options, [(properties, "Operator, JobAdministrator".to_owned())]);
}
