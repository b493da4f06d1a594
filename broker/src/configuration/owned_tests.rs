use super::*;

#[test]
fn paths_and_values_that_dirac_would_read_as_something_else_are_refused() {
    let mut owned = Owned::default();
    for path in ["", "/", "/a//b", "/a/b{", "/a=b", "/a/b+", "/a/#b", "/a/b\nc", "/a, b", "/a/"] {
        assert!(matches!(owned.own(path, Value::Section), Err(Unfit::Path(_))), "{path:?}");
    }
    for value in [Value::Is("a\nb = c".into()), Value::Has(BTreeSet::from(["a\r".to_owned()]))] {
        assert_eq!(owned.own("/a", value), Err(Unfit::Value("/a".into())));
    }
    for path in ["/DIRAC", "/DIRAC/Configuration", "/DIRAC/Configuration/Version", "DIRAC/Configuration/Name"] {
        assert!(matches!(owned.own(path, Value::Section), Err(Unfit::Servers(_))), "{path:?}");
    }
    assert!(owned.is_empty());
    owned.own(" a / b c ", Value::Is(" x,,y = 1 ".into())).unwrap();
    owned.own("/DIRAC/Configuration/RefreshTime", Value::Is("60".into())).unwrap();
    assert_eq!(owned.get("/a/b c"), Some(&Value::Is("x, y = 1".into())));
}

#[test]
fn values_of_one_list_come_together_and_none_own_nothing() {
    let mut owned = Owned::default();
    for all in [vec!["a"], vec![], vec!["b, c"]] {
        owned.own("/l", Value::Has(all.into_iter().map(str::to_owned).collect())).unwrap();
        owned.own("/none", Value::Has(BTreeSet::new())).unwrap();
    }
    let all = ["a", "b", "c"].map(str::to_owned);
    assert_eq!(owned.iter().collect::<Vec<_>>(), [("/l", &Value::Has(BTreeSet::from(all)))]);
}

#[test]
fn it_is_written_as_json_and_read_back() {
    let mut owned = Owned::default();
    owned.own("/s", Value::Section).unwrap();
    owned.own("/s/o", Value::Is("1".into())).unwrap();
    owned.own("/s/l", Value::Has(BTreeSet::from(["x".to_owned()]))).unwrap();
    let json = serde_json::to_string(&owned).unwrap();
    assert_eq!(json, r#"{"/s":null,"/s/l":["x"],"/s/o":"1"}"#);
    assert_eq!(serde_json::from_str::<Owned>(&json).unwrap(), owned);
    assert!(serde_json::from_str::<Owned>(r#"{"/DIRAC/Configuration/Version":"1"}"#).is_err());
}
