//! Addresses of services, with the version that we speak.

/// Nova's API with microversions.
const OURS: &str = "v2.1";

/// The address of Nova's v2.1, made from what Keystone's catalogue has.
///
/// Catalogues have Nova without a version, or still at the legacy `/v2`, with or without the project at the end. The legacy API
/// answers the same calls, but without microversions: it drops tags, and the servers would be made and never be found again.
pub fn compute(url: &str) -> String {
    let url = url.trim_end_matches('/');
    let (root, path) = match url.find("://").and_then(|at| url[at + 3..].find('/').map(|slash| at + 3 + slash)) {
        Some(slash) => url.split_at(slash),
        None => (url, ""),
    };
    let mut segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
    match segments.iter().rposition(|s| is_version(s)) {
        Some(at) if matches!(segments[at], "v2" | "v2.0") => segments[at] = OURS,
        Some(_) => {}
        None => segments.push(OURS),
    }
    format!("{root}/{}", segments.join("/"))
}

fn is_version(segment: &str) -> bool {
    let number = segment.strip_prefix('v').unwrap_or_default();
    !number.is_empty() && number.split('.').all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nova_is_always_asked_at_v2_1() {
        for (listed, asked) in [
            ("https://nova:8774", "https://nova:8774/v2.1"),
            ("https://nova:8774/", "https://nova:8774/v2.1"),
            ("https://site/compute", "https://site/compute/v2.1"),
            ("https://nova/v2.1", "https://nova/v2.1"),
            ("https://nova/v2.1/", "https://nova/v2.1"),
            ("https://nova/v2.1/0123abcd", "https://nova/v2.1/0123abcd"),
            ("https://nova/v2", "https://nova/v2.1"),
            ("https://nova/v2/0123abcd", "https://nova/v2.1/0123abcd"),
            ("https://site/compute/v2.0/", "https://site/compute/v2.1"),
            ("https://v2/", "https://v2/v2.1"),
        ] {
            assert_eq!(compute(listed), asked, "{listed}");
        }
    }
}
