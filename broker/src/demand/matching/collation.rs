//! How the database behind DIRAC compares names: DIRAC makes its tables in `utf8mb4` (`Core/Utilities/MySQL.py`,
//! `_createTables`), whose `utf8mb4_general_ci` ignores case, most accents and trailing blanks.

/// Whether two names are equal for the database: without regard to case, to trailing blanks and, up to Latin Extended-A, to accents.
/// `tests/tests/dirac.rs` compares every pair of those letters with the database.
pub fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.trim_end_matches(' '), b.trim_end_matches(' '));
    // Nearly all names are ASCII, where letters need no table.
    if a.is_ascii() && b.is_ascii() { a.eq_ignore_ascii_case(b) } else { a.chars().map(fold).eq(b.chars().map(fold)) }
}

/// The form in which equal names are letter by letter equal.
pub fn key(name: &str) -> String {
    name.trim_end_matches(' ').chars().map(fold).collect()
}

fn fold(c: char) -> char {
    let mut all = c.to_uppercase();
    let upper = match (all.next(), all.next()) {
        (Some(one), None) => one,
        _ => c,
    };
    match upper {
        'À'..='Å' | 'Ā' | 'Ă' | 'Ą' => 'A',
        'Ç' | 'Ć' | 'Ĉ' | 'Ċ' | 'Č' => 'C',
        'Ď' => 'D',
        'È'..='Ë' | 'Ē' | 'Ĕ' | 'Ė' | 'Ę' | 'Ě' => 'E',
        'Ĝ' | 'Ğ' | 'Ġ' | 'Ģ' => 'G',
        'Ĥ' => 'H',
        'Ì'..='Ï' | 'Ĩ' | 'Ī' | 'Ĭ' | 'Į' | 'İ' => 'I',
        'Ĵ' => 'J',
        'Ķ' => 'K',
        'Ĺ' | 'Ļ' | 'Ľ' => 'L',
        'Ñ' | 'Ń' | 'Ņ' | 'Ň' => 'N',
        'Ò'..='Ö' | 'Ō' | 'Ŏ' | 'Ő' => 'O',
        'Ŕ' | 'Ŗ' | 'Ř' => 'R',
        'ß' | 'Ś' | 'Ŝ' | 'Ş' | 'Š' => 'S',
        'Ţ' | 'Ť' => 'T',
        'Ù'..='Ü' | 'Ũ' | 'Ū' | 'Ŭ' | 'Ů' | 'Ű' | 'Ų' => 'U',
        'Ŵ' => 'W',
        'Ý' | 'Ŷ' | 'Ÿ' => 'Y',
        'Ź' | 'Ż' | 'Ž' => 'Z',
        // This collation gives all characters beyond the first plane, for example emoji, one weight.
        '\u{10000}'.. => '\u{FFFD}',
        c => c,
    }
}
