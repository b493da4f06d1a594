//! How the database behind DIRAC compares names. DIRAC makes its tables with `CHARSET=utf8mb4` (`Core/Utilities/MySQL.py`,
//! `_createTables`), whose usual collation sees neither capitals nor most accents nor trailing blanks.

/// A plain letter, and the letters that count as it.
const LIKE: [(char, &str); 20] = [
    ('A', "ÀÁÂÃÄÅĀĂĄ"),
    ('C', "ÇĆĈĊČ"),
    ('D', "Ď"),
    ('E', "ÈÉÊËĒĔĖĘĚ"),
    ('G', "ĜĞĠĢ"),
    ('H', "Ĥ"),
    ('I', "ÌÍÎÏĨĪĬĮİ"),
    ('J', "Ĵ"),
    ('K', "Ķ"),
    ('L', "ĹĻĽ"),
    ('N', "ÑŃŅŇ"),
    ('O', "ÒÓÔÕÖŌŎŐ"),
    ('R', "ŔŖŘ"),
    ('S', "ŚŜŞŠß"),
    ('T', "ŢŤ"),
    ('U', "ÙÚÛÜŨŪŬŮŰŲ"),
    ('W', "Ŵ"),
    ('Y', "ÝŶŸ"),
    ('Z', "ŹŻŽ"),
    ('\u{FFFD}', ""),
];

/// A name as the database compares it.
pub fn folded(name: &str) -> String {
    name.trim_end_matches(' ').chars().map(plain).collect()
}

/// Whether two names are one for the database.
pub fn same(a: &str, b: &str) -> bool {
    a == b || folded(a) == folded(b)
}

/// Whether a list names this.
pub fn names(list: &[String], wanted: &str) -> bool {
    list.iter().any(|name| same(name, wanted))
}

fn plain(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_uppercase();
    }
    // Characters beyond the first plane all weigh the same.
    if c > '\u{FFFF}' {
        return '\u{FFFD}';
    }
    let mut upper = c.to_uppercase();
    let one = match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        _ => c,
    };
    LIKE.iter().find(|(_, letters)| letters.contains(one)).map_or(one, |(letter, _)| *letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_as_the_database_does() {
        assert!(same("CLOUD.Lyon.fr", "cloud.lyon.FR  "));
        assert!(same("Orsay é", "ORSAY E"));
        assert!(same("Kraków-Žižkov", "krakow-zizkov"));
        assert!(!same("Łódź", "Lodz"), "the stroke of an Ł is no accent");
        assert!(!same(" GPU", "GPU"));
    }
}
