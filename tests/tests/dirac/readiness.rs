//! What a real DIRAC lacks is found in its Configuration server and its site mask; the printed lines, merged as `dirac-configuration-cli`
//! does it, cure it.

use broker::{
    demand::{
        Fault,
        diset::{Inspector, JobManager, JobMonitoring, Matcher, PilotManager},
    },
    readiness::{Finding, Group, Inspect, Operator, Queue, Site, Size, State, Vo, Wanted, check, lines},
};
use testbeds::systems::dirac::{Ce, Dirac, SITE};

use super::configuration;
use crate::client;

const QUEUE: &str = "/Resources/Sites/CLOUD/CLOUD.Lyon.fr/CEs/openstack.lyon.fr/Queues/m1.large";

fn wanted() -> Wanted {
    let group = |name: &str, properties: &[&str]| Group {
        name: name.into(),
        properties: properties.iter().map(|p| (*p).to_owned()).collect(),
    };
    let vo = |name: &str| Vo {
        name: name.into(),
        groups: vec![
            group(&format!("{name}_user"), &["NormalUser"]),
            group(&format!("{name}_pilot"), &["GenericPilot"]),
        ],
        pilot_group: format!("{name}_pilot"),
    };
    Wanted {
        operator: Operator { group: "biomed_admin".into(), gives_back: false },
        vos: vec![vo("biomed"), vo("enmr")],
        sites: vec![Site { name: SITE.into() }],
        queues: vec![Queue {
            site: SITE.into(),
            ce: "openstack.lyon.fr".into(),
            name: "m1.large".into(),
            sizes: vec![Size { cores: 2, ram_mib: 4_096 }],
            cpu_seconds: 86_400,
            end_seconds: 864_000,
            tags: vec!["GPU".into()],
            required_tags: vec!["GPU".into()],
        }],
        unknown: vec![],
    }
}

pub fn inspector(dirac: &Dirac, who: &str, group: &str) -> Inspector {
    let credentials = dirac.credentials(who).unwrap();
    let to = |service: &str| client(dirac, service, group, &credentials, 30);
    Inspector {
        client: to("MATCHER"),
        dn: credentials.subject(),
        configuration: dirac.url("CONFIGURATION").unwrap(),
        matcher: Matcher::new(to("MATCHER")),
        pilots: PilotManager::new(to("PILOTMANAGER")),
        jobs: Some(JobMonitoring::new(to("JOBMONITORING"))),
        manager: Some(JobManager::new(to("JOBMANAGER"))),
    }
}

/// What is not as it must be, as the operator's administrator sees it.
async fn lacking(dirac: &Dirac) -> Vec<Finding> {
    let said = inspector(dirac, "user", "biomed_admin").inspect().await;
    check(&said, &wanted()).into_iter().filter(|finding| finding.state != State::Met).collect()
}

#[tokio::test]
async fn what_a_real_dirac_lacks_is_found_and_the_printed_lines_cure_it() {
    let state = tempfile::tempdir().unwrap();
    let ce = Ce { name: "openstack.lyon.fr".into(), queues: vec!["m1.large".into()] };
    let mut dirac = Dirac::start(state.path(), &[ce]).await.unwrap();

    // The testbed's queue has a CPU time alone.
    let first = lacking(&dirac).await;
    let places: Vec<&str> = first.iter().map(|f| f.place.as_str()).collect();
    let at = |option: &str| format!("{QUEUE}/{option}");
    assert_eq!(places, [at("NumberOfProcessors"), at("MaxRAM"), at("Tag"), at("RequiredTag")], "{first:#?}");
    dirac.merge_configuration(&lines(&first).unwrap().to_string()).unwrap();
    assert_eq!(lacking(&dirac).await, [], "DIRAC knows everything");

    each_section_that_is_taken_away_is_found_and_its_lines_put_it_back(&dirac).await;
    the_site_mask_is_read_as_the_matcher_reads_it(&dirac).await;
    configuration::the_operator_is_one_more_administrator(&dirac).await;
    who_may_not_or_cannot_read_knows_nothing(&mut dirac).await;
}

async fn each_section_that_is_taken_away_is_found_and_its_lines_put_it_back(dirac: &Dirac) {
    let (pilots, admin) = ("/Registry/Groups/enmr_pilot", "/Registry/Groups/biomed_admin/Properties");
    for (path, place) in [
        (QUEUE, QUEUE),
        ("/Resources/Sites/CLOUD/CLOUD.Lyon.fr", "/Resources/Sites/CLOUD/CLOUD.Lyon.fr"),
        (&format!("{QUEUE}/NumberOfProcessors"), &format!("{QUEUE}/NumberOfProcessors")),
        (&format!("{pilots}/Properties"), &format!("{pilots}/Properties")),
        (pilots, pilots),
        (admin, admin),
    ] {
        dirac.remove_configuration(path).unwrap();
        let found = lacking(dirac).await;
        assert!(found.iter().any(|f| f.place == place && f.state == State::Missing), "{path}: {found:#?}");
        let text = lines(&found).unwrap().to_string();
        eprintln!("without {path}:\n{text}");
        dirac.merge_configuration(&text).unwrap();
        // Who is in a group that was made anew is for people to say.
        let left: Vec<_> = lacking(dirac).await.into_iter().filter(|f| f.place != format!("{pilots}/Users")).collect();
        assert_eq!(left, [], "{path}");
    }
    dirac.merge_configuration("Registry\n{\nGroups\n{\nenmr_pilot\n{\nUsers = bpilot\n}\n}\n}\n").unwrap();
    assert_eq!(lacking(dirac).await, []);
}

async fn the_site_mask_is_read_as_the_matcher_reads_it(dirac: &Dirac) {
    let place = format!("site mask: {SITE}");
    for (change, found) in [
        ("update ResourceStatusDB.SiteStatus set Status = 'Banned'", Some("Banned")),
        ("update ResourceStatusDB.SiteStatus set Status = 'Degraded'", None),
        ("delete from ResourceStatusDB.SiteStatus", Some("no status")),
    ] {
        dirac.sql(change).unwrap();
        let all = lacking(dirac).await;
        assert_eq!(
            all.iter().map(|f| f.found.as_str()).collect::<Vec<_>>(),
            found.into_iter().collect::<Vec<_>>(),
            "{change}"
        );
        assert!(all.iter().all(|f| f.place == place && f.state == State::Missing), "{all:#?}");
    }
}

/// What cannot be read is unknown, and not missing.
async fn who_may_not_or_cannot_read_knows_nothing(dirac: &mut Dirac) {
    let states = |findings: Vec<Finding>| findings.into_iter().map(|f| (f.place, f.state, f.fault)).collect::<Vec<_>>();
    let stranger = check(&inspector(dirac, "stranger", "biomed_admin").inspect().await, &wanted());
    let refused = |service: &str| (format!("WorkloadManagement/{service}"), State::Missing, None);
    let all = states(stranger);
    // A JobManager answers whoever is known to DIRAC at all; whose jobs it would take back it says when it is asked to.
    assert_eq!(all[0], ("WorkloadManagement/JobManager".to_owned(), State::Met, None));
    assert_eq!(all[1..4], [refused("JobMonitoring"), refused("Matcher"), refused("PilotManager")]);
    let unknown = ("/".to_owned(), State::Unknown, Some(Fault::Unauthorized));
    assert_eq!(all[4..], [unknown, ("/Registry/Users".to_owned(), State::Missing, None)]);

    dirac.stop_service("RESOURCESTATUS");
    let all = states(lacking(dirac).await);
    assert_eq!(all, [(format!("site mask: {SITE}"), State::Unknown, Some(Fault::Unreachable))]);
    dirac.stop_service("CONFIGURATION");
    let all = states(lacking(dirac).await);
    assert_eq!(all, [("/".to_owned(), State::Unknown, Some(Fault::Unreachable))]);
}
