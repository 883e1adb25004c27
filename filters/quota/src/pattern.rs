//! Names with `*` in them.

/// How closely `pattern` describes `name`: exactly or not, then by how many bytes; `None` when it does not. `*` stands for any
/// text, the empty one included.
pub(crate) fn closeness(pattern: &str, name: &str) -> Option<(bool, usize)> {
    let Some((prefix, rest)) = pattern.split_once('*') else {
        return (pattern == name).then_some((true, pattern.len()));
    };
    let mut left = name.strip_prefix(prefix)?;
    let mut bytes = prefix.len();
    let mut parts = rest.split('*');
    // Every other part as early as it is found: what comes later then has the most room.
    let suffix = parts.next_back().unwrap_or_default();
    for part in parts {
        left = left.split_once(part)?.1;
        bytes = bytes.saturating_add(part.len());
    }
    left.ends_with(suffix).then_some((false, bytes.saturating_add(suffix.len())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, slowly.
    fn fits(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|skipped| fits(rest, &name[skipped..])),
            Some((byte, rest)) => name.split_first().is_some_and(|(first, left)| first == byte && fits(rest, left)),
        }
    }

    proptest! {
        #[test]
        fn a_star_is_any_text(pattern in "[ab*]{0,7}", name in "[ab]{0,7}") {
            prop_assert_eq!(closeness(&pattern, &name).is_some(), fits(pattern.as_bytes(), name.as_bytes()));
        }
    }

    #[test]
    fn exact_is_closer_than_long_is_closer_than_short() {
        let close = |pattern| closeness(pattern, "logs.app.1");
        assert!(close("logs.app.1") > close("logs.app.*"));
        assert!(close("logs.app.*") > close("logs.*"));
        assert!(close("logs.*.1") > close("logs.*"));
        assert!(close("*") > None);
        assert_eq!(close("logs"), None);
    }
}
