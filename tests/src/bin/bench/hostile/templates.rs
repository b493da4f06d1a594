//! User-data templates that ask for as much work as the schema of a pool lets in.

/// Characters that a template may have.
const LONGEST: usize = 16_384;

/// The `n`th template. No two are equal, so that each is checked.
pub fn template(n: usize) -> String {
    let worst: [String; 10] = [
        // All the fuel in steps, in text and in filters.
        "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}".to_owned(),
        "a: {{ 'x' * 45000 }}".to_owned(),
        "a: {{ ('x' * 40000) | replace('x', 'yy') | upper | b64 }}".to_owned(),
        "{% for a in range(300) %}{{ 'x y ' * 500 | split | sort | join(',') }}{% endfor %}".to_owned(),
        // The most of YAML: wide, deep, and bombs.
        "a: [{{ '1,' * 1990 }}1]".to_owned(),
        "{{ '- ' * 20000 }}".to_owned(),
        "a: &a {{ 'x' * 1000 }}\nb: [{{ '*a, ' * 64 }}1]".to_owned(),
        "a: {{ '9' * 45000 }}".to_owned(),
        // The most of a template: tokens, and an expression that would overflow a stack.
        "{{ vo }}".repeat(1_000),
        format!("{{{{ 1{} }}}}", "+1".repeat(8_000)),
    ];
    let mut text = worst[n % worst.len()].clone();
    text.push_str(&format!("\n# {n}"));
    text.truncate(LONGEST);
    text
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Instant};

    use super::*;

    #[test]
    fn the_schema_lets_them_in_and_no_two_are_equal() {
        let all: BTreeSet<String> = (0..64).map(template).collect();
        assert_eq!(all.len(), 64);
        assert!(all.iter().all(|text| text.chars().count() <= LONGEST && !text.contains("PRIVATE KEY-----")));
    }

    #[test]
    fn each_gets_its_verdict_soon() {
        for n in 0..10 {
            let begun = Instant::now();
            drop(broker::pilot::user_data::check(&template(n)));
            assert!(begun.elapsed().as_secs() < 5, "{n}: {:?}", begun.elapsed());
        }
    }
}
