//! How the database behind DIRAC compares names: MySQL's and MariaDB's default collations ignore case and trailing blanks.

/// Whether the database takes two names for the same: letters without regard to case and accents of Latin-1 (as the
/// `_general_ci` and `_swedish_ci` collations do), trailing blanks ignored.
pub fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.trim_end_matches(' '), b.trim_end_matches(' '));
    // Nearly all names are ASCII, where letters need no table.
    if a.is_ascii() && b.is_ascii() { a.eq_ignore_ascii_case(b) } else { a.chars().map(fold).eq(b.chars().map(fold)) }
}

fn fold(c: char) -> char {
    let upper = match c {
        'a'..='z' => c.to_ascii_uppercase(),
        c if c.is_ascii() => c,
        c => {
            let mut all = c.to_uppercase();
            match (all.next(), all.next()) {
                (Some(one), None) => one,
                _ => c,
            }
        }
    };
    match upper {
        'À'..='Å' => 'A',
        'Ç' => 'C',
        'È'..='Ë' => 'E',
        'Ì'..='Ï' => 'I',
        'Ñ' => 'N',
        'Ò'..='Ö' => 'O',
        'Ù'..='Ü' => 'U',
        'Ý' | 'Ÿ' => 'Y',
        'ß' => 'S',
        c => c,
    }
}
