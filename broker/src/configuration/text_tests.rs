use proptest::prelude::*;

use super::*;
use crate::configuration::At;

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
    cfg.set("/Registry/Groups/g/Properties", "NormalUser, Operator");
    cfg.set("/Resources/Sites/CLOUD/CLOUD.Lyon.fr/CEs/ce/Queues/c8/NumberOfProcessors", "8");
    let text = cfg.to_string();
    assert_eq!(Cfg::parse(&text).as_ref(), Ok(&cfg));
    let registry = "Registry\n{\n  Groups\n  {\n    g\n    {\n      Properties = NormalUser\n      Properties += Operator\n    }\n";
    assert!(text.starts_with(registry), "{text}");
}

/// As a Configuration server serves it: comments, an empty value, a list, an empty section, people's order.
const SERVED: &str = "Registry
{
  #the users
  #@@-admin@dirac_admin - 2026-11-30 10:00:00
  Users
  {
    opuser
    {
      DN = /C=ch/O=TestGrid/CN=opuser
      #none yet
      Email = 
    }
  }
  DefaultGroup = biomed_user
}
Operations
{
}
Agents = a
Agents += b
Agents += c
";

#[test]
fn a_text_that_was_served_is_written_back_byte_by_byte() {
    assert_eq!(Cfg::parse(SERVED).unwrap().to_string(), SERVED);
    let mut cfg = Cfg::parse(SERVED).unwrap();
    cfg.set("/Registry/Users/opuser/Email", "op@example.org");
    cfg.set("/Registry/Groups/g/VO", "biomed");
    let with = SERVED.replace("Email = \n", "Email = op@example.org\n").replace(
        "  DefaultGroup = biomed_user\n",
        "  DefaultGroup = biomed_user\n  Groups\n  {\n    g\n    {\n      VO = biomed\n    }\n  }\n",
    );
    assert_eq!(cfg.to_string(), with, "the comment and everything else stay");
    cfg.set("/Registry/Users/opuser/Email", "");
    cfg.take_out("/Registry/Groups");
    assert_eq!(cfg.to_string(), SERVED);
}

#[test]
fn a_comment_belongs_to_what_follows_it_and_is_written_as_dirac_writes_it() {
    for (text, written) in [
        ("## Two # words\n#\n   #more\na = 1\n", "#Two  words\n#more\na = 1\n"),
        ("a\n{\n  # of nothing in here\n}\nb = 1\n", "a\n{\n}\n#of nothing in here\nb = 1\n"),
        ("a = 1\n# of nothing\n", "a = 1\n"),
        ("# lost\na = 1\n# lost too\na += 2\nb = 1\n", "#lost\na = 1\na += 2\nb = 1\n"),
        ("# first\na = 1\nb = 1\n# second\na = 2\n", "#second\na = 2\nb = 1\n"),
        ("a = 1,, 2 ,\nb = ,\n", "a = 1\na += 2\nb = \n"),
        (
            "# of the section\nmy site {\n# of the option\na name = #1\n}",
            "#of the section\nmy site\n{\n  #of the option\n  a name = #1\n}\n",
        ),
    ] {
        assert_eq!(Cfg::parse(text).unwrap().to_string(), written, "{text:?}");
    }
}

#[test]
fn nothing_is_done_where_an_option_stands_for_a_section_or_a_section_for_an_option() {
    let cfg = Cfg::parse("a = 1\nb\n{\n}\n").unwrap();
    let mut same = cfg.clone();
    same.set("/a/b", "2");
    same.set("/b", "2");
    assert!(same.make_section("/a").is_none());
    same.take_out("/a/b");
    same.take_out("/c/d");
    assert_eq!((&same, same.at("/a")), (&cfg, Some(At::Option("1"))));
    assert!(cfg.at("/b").is_some_and(|at| matches!(at, At::Section(section) if section.is_empty())));
    assert_eq!((cfg.at("/c"), cfg.at("/a/b"), cfg.at("/")), (None, None, None));
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

/// Sections and options with lists, comments and names of one letter or with a space.
fn pieces() -> impl Strategy<Value = Vec<String>> {
    let piece = prop_oneof![
        Just("{"),
        Just("}"),
        Just("="),
        Just("+="),
        Just("\n"),
        Just("a"),
        Just("b"),
        Just(" "),
        Just("#"),
        Just("\u{85}"),
        Just("é"),
        Just("a\n{\n"),
        Just("my b\n{\n"),
        Just("b = c\n"),
        Just("b = c, d\n"),
        Just("b += e\n"),
        Just("# of it\n"),
        Just("}\n"),
    ];
    prop::collection::vec(piece.prop_map(str::to_owned), 0..60)
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_and_what_is_read_is_written_back(pieces in pieces()) {
        if let Ok(cfg) = Cfg::parse(&pieces.concat()) {
            let written = cfg.to_string();
            // What is odd in names (for example `a {b = c`) may be odd in the text; it never panics either.
            let again = Cfg::parse(&written);
            let is_plain = |piece: &String| !matches!(piece.as_str(), "{" | "}" | "=" | "+=" | "#" | "\u{85}");
            if pieces.iter().all(is_plain) {
                prop_assert_eq!(again.unwrap().to_string(), written);
            }
        }
    }
}
