//! Elements of DER, in which certificates are written: as much as the dates and the name of one need.

/// The tag of a number.
pub(super) const INTEGER: u8 = 0x02;
/// The tag of a list of elements.
pub(super) const SEQUENCE: u8 = 0x30;
/// The tag of a set of elements.
pub(super) const SET: u8 = 0x31;

/// An element's tag and content.
pub(super) type Element<'a> = (u8, &'a [u8]);

/// The first element, and what follows it.
pub(super) fn element(der: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // The lower bits say how many bytes of length follow. Certificates need two or three.
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        0x80 | 0x85.. => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some(((tag, content), rest))
}

/// The first element's content when it has this tag, and what follows it.
pub(super) fn expect(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let ((found, content), rest) = element(der)?;
    (found == tag).then_some((content, rest))
}
