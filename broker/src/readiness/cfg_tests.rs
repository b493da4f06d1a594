use proptest::prelude::*;

use super::*;

/// As DIRAC's Configuration server writes it, with what people write in files.
const TEXT: &str = "
# people's words
Registry
{
  DefaultGroup = biomed_user
  Users
  {
    opuser
    {
      DN = /C=ch/O=TestGrid/CN=opuser
      Email =
    }
  }
  Groups
  {
    biomed_admin
    {
      Users = opuser
      Properties = NormalUser
      Properties += Operator
      Properties += JobAdministrator
    }
  }
}
Resources { Sites
  {
    CLOUD {
    }
  }
}
";

#[test]
fn a_configuration_is_read_as_dirac_reads_it() {
    let cfg = Cfg::parse(TEXT).unwrap();
    assert_eq!(cfg.option("/Registry/Users/opuser/DN"), Some("/C=ch/O=TestGrid/CN=opuser"));
    assert_eq!(cfg.option("/Registry/Users/opuser/Email"), Some(""));
    assert_eq!(cfg.list("/Registry/Groups/biomed_admin/Properties"), ["NormalUser", "Operator", "JobAdministrator"]);
    assert_eq!(cfg.option("/Registry/DefaultGroup"), Some("biomed_user"));
    assert!(cfg.section("/Resources/Sites/CLOUD").is_some_and(Cfg::is_empty), "brackets may stand on one line");
    assert!(cfg.section("/Resources/Sites/LCG").is_none());
    assert_eq!(cfg.section("/").map(|all| all.sections().count()), Some(2));
    assert_eq!(cfg.list("/Registry/Users"), [""; 0], "a section is no option");
}

#[test]
fn what_is_set_is_written_as_text_that_reads_back() {
    let mut cfg = Cfg::default();
    cfg.set("/Resources/Sites/CLOUD/CLOUD.Lyon.fr/CEs/ce/Queues/c8/NumberOfProcessors", "8");
    cfg.set("/Registry/Groups/g/Properties", "NormalUser, Operator");
    let text = cfg.to_string();
    assert_eq!(Cfg::parse(&text).as_ref(), Ok(&cfg));
    assert!(
        text.starts_with("Registry\n{\n  Groups\n  {\n    g\n    {\n      Properties = NormalUser, Operator\n    }\n"),
        "{text}"
    );
}

#[test]
fn what_is_no_configuration_is_said_with_its_line() {
    let deep = "a {".repeat(DEEPEST + 1);
    let many = "a = b\n".repeat(MOST + 1);
    let long = "x".repeat(LONGEST + 1);
    for (text, wrong) in [
        ("a\n{\n", CfgError::NotClosed(1)),
        ("a\n{\n}\n}\n", CfgError::TooManyClosed(4)),
        ("\n{\n}\n", CfgError::NoName(2)),
        ("a\n{\n}\na\n{\n}\n", CfgError::Twice(5)),
        ("a = 1\na\n{\n}\n", CfgError::Twice(3)),
        ("a\n{\n}\na = 1\n", CfgError::Twice(4)),
        ("a += 1\n", CfgError::NothingToAddTo(1)),
        (deep.as_str(), CfgError::TooDeep(1)),
        (many.as_str(), CfgError::TooMany),
        (long.as_str(), CfgError::TooLong(LONGEST + 1)),
    ] {
        assert_eq!(Cfg::parse(text), Err(wrong.clone()), "{wrong}");
    }
    assert!(Cfg::parse(&"a {".repeat(DEEPEST)).is_err_and(|e| e == CfgError::NotClosed(DEEPEST)));
}

#[test]
fn a_value_may_hold_brackets_and_equals_signs() {
    let cfg = Cfg::parse("DN = /C=ch/CN=a{b}\nempty =\nof = {\n").unwrap();
    assert_eq!(
        (cfg.option("/DN"), cfg.option("/empty"), cfg.option("/of")),
        (Some("/C=ch/CN=a{b}"), Some(""), Some("{"))
    );
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_and_what_is_read_is_written_back(pieces in prop::collection::vec(
        prop_oneof![
            Just("{"), Just("}"), Just("="), Just("+="), Just("\n"), Just("a"), Just("b"), Just(" "), Just("#"), Just("\u{85}"), Just("é"),
            Just("a\n{\n"), Just("b = c\n"), Just("}\n"),
        ],
        0..60,
    )) {
        if let Ok(cfg) = Cfg::parse(&pieces.concat()) {
            // What is odd in names (for example `a #b`) may be odd in the text; it never panics either.
            let _ = Cfg::parse(&cfg.to_string());
        }
    }
}
