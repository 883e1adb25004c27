//! Who a client is.

use core::fmt;
use std::rc::Rc;

/// Characters of a principal that a log line shows.
const SHOWN_CHARS_MAX: usize = 200;

/// Who the client of a connection is, as far as it has proved that before its first request.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal(Option<Rc<str>>);

impl Principal {
    /// What a client is called that has proved nothing.
    pub const ANONYMOUS: &'static str = "$anonymous";

    /// A client that has proved to be `name`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Principal(Some(name.into()))
    }

    /// Its name, or [`Principal::ANONYMOUS`].
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.as_deref().unwrap_or(Self::ANONYMOUS)
    }

    /// Whether it has proved nothing, whatever others may be called.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.0.is_none()
    }
}

/// For logs: on one line, bounded, with nothing in it that a terminal would obey.
impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name()
            .chars()
            .take(SHOWN_CHARS_MAX)
            .flat_map(char::escape_debug)
            .try_for_each(|c| fmt::Write::write_char(f, c))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_anonymous_by_name_alone() {
        assert_eq!(Principal::default().name(), "$anonymous");
        assert!(Principal::default().is_anonymous());
        assert!(!Principal::new("$anonymous").is_anonymous());
        assert_eq!(Principal::new("alice").name(), "alice");
    }

    #[test]
    fn a_log_line_stays_one_line() {
        assert_eq!(Principal::new("a\n\x1b[2J'ä").to_string(), "a\\n\\u{1b}[2J\\'ä");
        assert_eq!(Principal::new(&"x".repeat(10_000)).to_string().len(), SHOWN_CHARS_MAX);
    }
}
