use std::collections::BTreeMap;

use broker::{
    configuration::Cfg,
    demand::Fault,
    readiness::{Answer, Operator, Said, Site, Unread, Wanted, check},
};

use super::*;

const DN: &str = "/C=ch/O=TestGrid/CN=opuser";

/// A DIRAC that lacks the operator's user and the site, and whose mask is what `mask` says.
fn findings(mask: Result<BTreeMap<String, String>, Unread>) -> Vec<Finding> {
    let said = Said {
        dn: Some(DN.into()),
        configuration: Ok(Cfg::default()),
        site_status: mask,
        services: BTreeMap::from([("Matcher", Answer::Yes)]),
    };
    let wanted = Wanted {
        operator: Operator { group: "biomed_admin".into(), gives_back: false },
        sites: vec![Site { name: "CLOUD.Lyon.fr".into() }],
        ..Wanted::default()
    };
    check(&said, &wanted)
}

fn report(outcome: Outcome) -> Report {
    Report { key: Key { namespace: "dirac".into(), name: "egi".into() }, outcome }
}

fn looked(findings: Vec<Finding>) -> Report {
    report(Outcome::Looked { findings, has_diracx: true })
}

#[test]
fn what_lacks_is_printed_with_the_lines_to_add_and_what_else_is_to_be_done() {
    let text = looked(findings(Ok(BTreeMap::new()))).to_string();
    assert_eq!(
        text,
        "\
DiracInstallation dirac/egi
note     spec.external.diracx is not asked: this version speaks DISET alone
ok       WorkloadManagement/Matcher            the service answers us
missing  /Registry/Users/dirac-operator        needs a user with the DN /C=ch/O=TestGrid/CN=opuser; there is no user with it
missing  /Registry/Groups/biomed_admin         needs the operator's group, with the operator's user dirac-operator in its Users; there is no such group
missing  /Resources/Sites/CLOUD/CLOUD.Lyon.fr  needs the site; there is no such site
missing  site mask: CLOUD.Lyon.fr              needs Active or Degraded; there is no status

Add these lines to DIRAC's configuration. For example put them into a file lacks.cfg, and in dirac-configuration-cli
say `mergeFromFile lacks.cfg` and `writeToServer`:

Registry
{
  Users
  {
    dirac-operator
    {
      DN = /C=ch/O=TestGrid/CN=opuser
    }
  }
  Groups
  {
    biomed_admin
    {
      Users = dirac-operator
      Properties = JobAdministrator
      Properties += Operator
    }
  }
}
Resources
{
  Sites
  {
    CLOUD
    {
      CLOUD.Lyon.fr
      {
        Name = Lyon
      }
    }
  }
}

Then:
  dirac-rss-sync --init --element Site
  dirac-admin-allow-site CLOUD.Lyon.fr \"VMs of dirac-operator\"

"
    );
}

#[test]
fn what_lacks_anywhere_is_1_and_what_nobody_could_say_is_2() {
    let met = || looked(findings(Ok(BTreeMap::new())).into_iter().filter(|f| f.state == State::Met).collect());
    let lacks = || looked(findings(Ok(BTreeMap::new())));
    let unread = Unread { fault: Fault::Unreachable, message: "no answer".into() };
    let unknown = || {
        let all = findings(Err(unread.clone())).into_iter();
        looked(all.filter(|f| f.state != State::Missing).collect())
    };
    for (reports, code) in [
        (vec![met(), report(Outcome::Simulated)], 0),
        (vec![met(), unknown()], 2),
        (vec![unknown(), lacks()], 1),
        (vec![report(Outcome::NotReached("the Secret is missing".into())), met()], 2),
        (vec![report(Outcome::Managed)], 2),
    ] {
        assert_eq!(exit_code(&reports), code);
    }
    assert!(report(Outcome::NotReached("a\u{1b}[2J".into())).to_string().contains("a\u{fffd}[2J"));
    let text = unknown().to_string();
    assert!(text.contains("unknown  site mask: CLOUD.Lyon.fr") && text.contains("no answer"), "{text}");
}
