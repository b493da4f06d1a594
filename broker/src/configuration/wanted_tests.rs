use super::*;
use crate::{
    configuration::{Policy, plan},
    readiness::{Group, Queue, Size, Vo},
};

const QUEUE: &str = "/Resources/Sites/CLOUD/CLOUD.Lyon.fr/CEs/ce.lyon/Queues/c8";
/// What a DIRAC has that pilots need, by people's hands.
const PEOPLES: &str = include_str!("../readiness/whole.cfg");

fn pilots() -> Wanted {
    let group = |name: &str, property: &str| Group { name: name.into(), properties: vec![property.into()] };
    Wanted {
        vos: vec![Vo {
            name: "biomed".into(),
            groups: vec![group("biomed_user", "NormalUser"), group("biomed_pilot", "GenericPilot")],
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
        ..Wanted::default()
    }
}

/// The configuration after what we want was brought into it.
fn brought(cfg: &Cfg, pilots: &Wanted, beside: &Beside) -> (Cfg, Owned) {
    let (wanted, unfit) = wanted(cfg, pilots, beside);
    assert_eq!(unfit, []);
    let changes = plan(cfg, &wanted, &Owned::default(), Policy::PutBack, "us");
    assert_eq!(changes.edits, []);
    (changes.made_in(cfg, "us"), changes.applied)
}

fn lacking(cfg: &Cfg, pilots: &Wanted) -> Vec<String> {
    let all = readiness::configured(cfg, pilots).into_iter().filter(|finding| finding.state != State::Met);
    all.map(|finding| finding.place).collect()
}

#[test]
fn a_dirac_that_knows_nothing_gets_all_that_pilots_need() {
    let (made, owned) = brought(&Cfg::default(), &pilots(), &Beside::default());
    assert_eq!(lacking(&made, &pilots()), ["/Registry/Groups/biomed_pilot/Users"], "who the pilots are is not known");
    assert_eq!(made.option(&format!("{QUEUE}/maxCPUTime")), Some("1441"));
    let of_operator = |path: &str| path.contains("/Users/") || path.contains("/Hosts/");
    assert!(!owned.iter().any(|(path, _)| of_operator(path)), "its own right to write is not its own to change");
    let user =
        User { name: "bpilot".into(), dn: "/CN=bpilot".into(), email: None, groups: vec!["biomed_pilot".into()] };
    let (made, _) = brought(&Cfg::default(), &pilots(), &Beside { users: vec![user], ..Beside::default() });
    assert_eq!(lacking(&made, &pilots()), [""; 0]);
}

#[test]
fn what_people_wrote_stays_where_it_will_do() {
    let mut cfg = Cfg::parse(PEOPLES).unwrap();
    cfg.set(&format!("{QUEUE}/MaxRAM"), "17180");
    cfg.set("/Resources/Sites/CLOUD/CLOUD.Lyon.fr/Name", "Lugdunum");
    cfg.set("/Resources/Sites/CLOUD/CLOUD.Lyon.fr/CEs/ce.lyon/CEType", "Local");
    let (wanted, _) = wanted(&cfg, &pilots(), &Beside::default());
    let changes = plan(&cfg, &wanted, &Owned::default(), Policy::PutBack, "us");
    assert_eq!(
        (changes.steps().collect::<Vec<_>>(), &changes.edits, &changes.applied),
        (vec![], &vec![], &Owned::default())
    );
}

#[test]
fn what_we_wrote_and_still_want_stays_ours_and_what_will_not_do_is_put_right() {
    let (made, applied) = brought(&Cfg::default(), &pilots(), &Beside::default());
    let (again, _) = wanted(&made, &pilots(), &Beside::default());
    let changes = plan(&made, &again, &applied, Policy::PutBack, "us");
    assert_eq!((changes.is_empty(), &changes.applied), (true, &applied));
    let mut larger = pilots();
    larger.queues[0].sizes[0].ram_mib *= 2;
    let (again, _) = wanted(&made, &larger, &Beside::default());
    let changes = plan(&made, &again, &applied, Policy::PutBack, "us");
    assert_eq!(changes.steps().map(|(path, _)| path).collect::<Vec<_>>(), [format!("{QUEUE}/MaxRAM")]);
    assert_eq!(changes.edits, []);
}

#[test]
fn a_queue_of_which_nobody_knows_the_size_stays_as_it_was() {
    let (made, applied) = brought(&Cfg::default(), &pilots(), &Beside::default());
    let unknown = vec![(QUEUE.to_owned(), "no Cloud has said".to_owned())];
    let unknown = Wanted { queues: vec![], unknown, ..pilots() };
    let (fewer, unfit) = wanted(&made, &unknown, &Beside::default());
    assert_eq!(unfit, []);
    let changes = plan(&made, &fewer, &applied, Policy::PutBack, "us");
    let ce = "/Resources/Sites/CLOUD/CLOUD.Lyon.fr/CEs/ce.lyon/CEType";
    assert_eq!(changes.steps().map(|(path, _)| path).collect::<Vec<_>>(), [ce]);
}

#[test]
fn computing_elements_hosts_and_users_are_written_as_dirac_reads_them() {
    let queue = CeQueue {
        name: "condor".into(),
        cpu_minutes: 4_320,
        cores: 8,
        tags: vec!["GPU".into()],
        required_tags: vec!["GPU".into()],
        vos: vec!["biomed".into(), "enmr".into()],
    };
    let ce =
        |name: &str, kind| Ce { site: "LCG.Paris.fr".into(), name: name.into(), kind, queues: vec![queue.clone()] };
    let beside = Beside {
        users: vec![User { name: "x".into(), dn: "/CN=x".into(), email: Some("x@example.org".into()), groups: vec![] }],
        hosts: vec![Host { name: "vm".into(), dn: "/CN=vm".into(), properties: vec!["GenericPilot".into()] }],
        ces: vec![ce("htc01", Kind::HtCondor), ce("login", Kind::Slurm)],
    };
    let mut peoples = Cfg::default();
    let at = "/Resources/Sites/LCG/LCG.Paris.fr/CEs";
    peoples.set(&format!("{at}/login/Queues/condor/SI00"), "3000");
    peoples.set(&format!("{at}/login/SSHUser"), "dirac");
    let (made, owned) = brought(&peoples, &Wanted::default(), &beside);
    let options = |path: &str| made.section(&format!("{at}/{path}")).unwrap().options().collect::<Vec<_>>();
    assert_eq!(options("htc01"), [("CEType", "HTCondorCE")]);
    assert_eq!(options("login"), [("SSHUser", "dirac"), ("BatchSystem", "SLURM"), ("CEType", "SSH")]);
    let mut condor = options("htc01/Queues/condor");
    condor.sort_unstable();
    let expected = [
        ("NumberOfProcessors", "8"),
        ("RequiredTag", "GPU"),
        ("SI00", "250"),
        ("Tag", "GPU"),
        ("VO", "biomed, enmr"),
        ("maxCPUTime", "4320"),
    ];
    assert_eq!(condor, expected);
    assert_eq!(owned.get(&format!("{at}/login/Queues/condor/SI00")), None, "they wrote it");
    assert_eq!(made.option("/Registry/Hosts/vm/Properties"), Some("GenericPilot"));
    assert_eq!(made.option("/Registry/Users/x/Email"), Some("x@example.org"));
}

#[test]
fn what_cannot_stand_in_a_configuration_is_said_and_the_rest_is_wanted() {
    let user = |name: &str| User { name: name.into(), dn: "/CN=x".into(), ..User::default() };
    let (owned, unfit) = wanted(
        &Cfg::default(),
        &Wanted::default(),
        &Beside { users: vec![user("a/b"), user("a{"), user("x")], ..Beside::default() },
    );
    assert_eq!(unfit, [Unfit::Path("a/b".into()), Unfit::Path("/Registry/Users/a{/DN".into())]);
    assert_eq!(owned.iter().map(|(path, _)| path).collect::<Vec<_>>(), ["/Registry/Users/x/DN"]);
}
