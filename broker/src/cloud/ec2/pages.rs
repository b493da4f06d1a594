//! Lists that come in pages, each of which says where the next one begins.

use crate::cloud::CloudError;

/// How far a list has been read.
pub struct Pages {
    most: usize,
    read: usize,
    at: Option<String>,
    /// Whether the next page would be the one that was just read.
    turns: bool,
}

impl Pages {
    /// Of a list of which at most so many pages are read.
    pub fn at_most(most: usize) -> Self {
        Self { most, read: 0, at: None, turns: false }
    }

    /// Where the next page begins: the first one nowhere. Nothing where all, or as many as may be, have been read.
    pub fn next(&self) -> Option<Option<String>> {
        let is_over = self.turns || self.read == self.most || (self.read > 0 && self.at.is_none());
        (!is_over).then(|| self.at.clone())
    }

    /// A page was read, and says this of the next one.
    pub fn read(&mut self, next: Option<&str>) {
        self.read += 1;
        let next = next.filter(|at| !at.is_empty());
        self.turns = next.is_some() && next == self.at.as_deref();
        self.at = next.map(str::to_owned);
    }

    /// An error where the list goes on beyond what was read.
    pub fn whole(&self, what: &str) -> Result<(), CloudError> {
        match self.at {
            None => Ok(()),
            Some(_) => Err(CloudError::Transient(format!("{what}: the list does not end after {} pages", self.read))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_where_no_page_follows_or_as_many_were_read_as_may_be() {
        let mut pages = Pages::at_most(3);
        assert_eq!(pages.next(), Some(None));
        pages.read(Some("a"));
        assert_eq!(pages.next(), Some(Some("a".to_owned())));
        pages.read(Some(""));
        assert_eq!((pages.next(), pages.whole("list")), (None, Ok(())));

        let mut endless = Pages::at_most(2);
        endless.read(Some("a"));
        endless.read(Some("b"));
        assert_eq!(endless.next(), None);
        let mut turns = Pages::at_most(9);
        turns.read(Some("a"));
        turns.read(Some("a"));
        assert_eq!(turns.next(), None, "the same page would come again");
        assert!(turns.whole("list").is_err());
        assert!(endless.whole("list").unwrap_err().to_string().contains("list: the list does not end after 2 pages"));
    }
}
