//! Templates written to harm: each runs on a stack four times smaller than a worker's, and overflowing it would end this process.

use std::thread;

use proptest::prelude::*;

use super::*;

/// A quarter of what a worker thread of tokio has.
const STACK: usize = 512 << 10;

fn check_on_a_small_stack(template: &str) -> Result<(), UserDataError> {
    let template = template.to_owned();
    thread::Builder::new().stack_size(STACK).spawn(move || check(&template)).unwrap().join().unwrap()
}

fn refused(template: &str) -> String {
    let said = check_on_a_small_stack(template).unwrap_err().to_string();
    assert!(said.chars().count() < 700, "{said}");
    said
}

#[test]
fn forty_nine_bytes_that_filled_the_memory_are_refused() {
    let said = refused("a: &a {{ 'x' * 1000000 }}\nb: [{{ '*a, ' * 64 }}1]");
    assert!(said.contains("does more than a template may") && !said.contains("loop"), "{said}");
    // The same within the fuel.
    let said = refused("a: &a {{ 'x' * 1000 }}\nb: [{{ '*a, ' * 64 }}1]");
    assert!(said.contains("anchors (&name)"), "{said}");
}

#[test]
fn a_billion_laughs_are_refused_at_the_first() {
    let mut bomb = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for n in 1..10 {
        bomb.push_str(&format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", ")));
    }
    assert!(refused(&bomb).contains("line 1 of its text: anchors"));
}

#[test]
fn yaml_is_bounded_in_what_it_may_say() {
    for (text, said) in [
        ("a: &x 1", "anchors"),
        ("a: *x", "alias"),
        ("a: {<<: {b: 1}}", "merge key"),
        ("a: 1\na: 2", "duplicate"),
        ("a: 1\n---\nb: 2", "one YAML document"),
        ("a: [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]", "deep"),
        ("a: [{{ '1,' * 4000 }}]", "2000 maps, lists and values"),
        ("a: {{ '[' * 40000 }}", "limit"),
        ("{{ '- ' * 20000 }}", "deep"),
        ("a: {{ '9' * 45000 }}", "non-finite"),
    ] {
        assert!(refused(text).contains(said), "{text}: {}", refused(text));
    }
    assert_eq!(check_on_a_small_stack(&format!("runcmd: [a]\n{}", "# a remark\n".repeat(1_000))), Ok(()));
}

/// Each of these ended the process when a template of 16 KiB was compiled without counting.
#[test]
fn no_expression_overflows_the_stack() {
    const N: usize = 16_000;
    for (start, again, end) in [
        ("{{ 1", "+1", "}}"),
        ("{{ vo", "~vo", "}}"),
        ("{{ vo", "|d", "}}"),
        ("{{ vo", ".a", "}}"),
        ("{{ vo", "[0]", "}}"),
        ("{{ vo", "()", "}}"),
        ("{{ ", "not ", "vo}}"),
        ("{{ ", "-", "1}}"),
        ("{{ ", "vo if vo else ", "vo}}"),
        ("{{ vo", " and vo", "}}"),
        ("{{ vo", " is true", "}}"),
        ("{{ 1", "**1", "}}"),
        ("{% if vo %}", "{%elif vo%}", "{% endif %}"),
        ("", "{%if vo%}", ""),
        ("", "{%for x in vo%}", ""),
        ("{{ ", "(", ""),
        ("{{ ", "[", ""),
        ("{{ '}}' ", "+1", "}}"),
        ("{% raw %}{{ ' {% endraw %}{{ 1", "+1", "}}' }}"),
        ("{# ' #}{{ 1", "+1", "}}"),
    ] {
        let template = format!("{start}{}{end}", again.repeat(N / again.len()));
        assert!(refused(&template).contains("cannot be rendered"), "{start}{again}");
    }
}

/// What these do would take 2^60 steps that no fuel is asked for.
#[test]
fn no_value_is_made_of_values() {
    for template in [
        "{% set a = [1, 2] %}",
        "{% set a = tags %}",
        "{% with a = tags %}{% endwith %}",
        "{% for a in [[1, 2]] %}{% for b in [[a, a]] %}{{ b ~ '' }}{% endfor %}{% endfor %}",
        "{% for a in ((1, 2), (3, 4)) %}{% endfor %}",
        "{% for a in 1, 2 %}{% endfor %}",
        "{{ {'a': tags} }}",
        "{{ tags | batch(1) }}",
        "{{ tags | map('list') }}",
        "{{ namespace() }}",
        "{{ dict(a=tags) }}",
        "{% for x in tags recursive %}{{ loop(tags) }}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% include 'spec.machine.userData' %}",
    ] {
        refused(template);
    }
}

#[test]
fn what_a_template_may_say_is_still_much() {
    let template = "\
{# what a site needs #}
runcmd:
{% for disk in 'vdb vdc' | split -%}
{% if loop.first %}  - [mkfs, /dev/{{ disk }}]
{% else %}  - [swapon, /dev/{{ disk }}]
{% endif %}{% endfor %}
{% if gpus > 0 and 'GPU' in tags %}  - [modprobe, nvidia]
{% elif not tags %}  - ['true']
{% endif %}  - run --cores {{ cores - 1 }} --ram {{ (ram_mib // 1024) * 2 }} {{ pilot.tags | join(',') | quote }}
  - {{ platform | default('any', true) | lower | replace('_', '-') | b64 }}
";
    assert_eq!(check_on_a_small_stack(template), Ok(()));
}

fn any_template() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{{ "),
        Just(" }}"),
        Just("{% if "),
        Just("{% elif "),
        Just("{% for x in "),
        Just(" %}"),
        Just("{% endfor %}"),
        Just("{% endif %}"),
        Just("{% set a = "),
        Just("tags"),
        Just("vo"),
        Just("pilot"),
        Just("x"),
        Just("a"),
        Just("range(9999)"),
        Just(" * 99999"),
        Just(" ~ "),
        Just(" + "),
        Just(" | "),
        Just("join('x')"),
        Just("list"),
        Just("split"),
        Just("sort"),
        Just("replace('', 'xxxxxxxx')"),
        Just("indent(99999)"),
        Just("format"),
        Just("quote"),
        Just("b64"),
        Just("string"),
        Just("'%99999d'"),
        Just("("),
        Just(")"),
        Just("["),
        Just("]"),
        Just(", "),
        Just("'x\n'"),
        Just("a: "),
        Just("- "),
        Just("\n"),
        Just("&a "),
        Just("*a "),
        Just("<<: "),
        Just("? "),
        Just("!!str "),
        Just("{"),
        Just("}"),
        Just("\""),
        Just("'"),
        Just("|\n"),
        Just("é"),
        Just("---\n"),
    ];
    (prop::collection::vec(piece, 0..60), 1..40_usize).prop_map(|(pieces, times)| pieces.concat().repeat(times))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn whatever_the_template_it_ends_with_a_verdict(template in any_template()) {
        if let Err(e) = check_on_a_small_stack(&template) {
            prop_assert!(e.to_string().chars().count() < 700);
        }
    }
}
