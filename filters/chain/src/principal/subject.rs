//! Distinguished names as Kafka's mapping rules expect them.

use std::borrow::Cow;

/// The name without `\C3\A1` for `á`: Envoy (OpenSSL) escapes every byte beyond ASCII, Java none, and rules are written for
/// Java's. Escapes of other characters, and bytes that are no UTF-8, stay as they are.
pub(super) fn readable(name: &str) -> Cow<'_, str> {
    if !name.contains('\\') {
        return name.into();
    }
    let mut readable = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, escaped)) = rest.split_once('\\') {
        readable.push_str(before);
        let (bytes, behind) = beyond_ascii(rest.get(before.len()..).unwrap_or_default());
        match String::from_utf8(bytes) {
            Ok(text) if !text.is_empty() => {
                readable.push_str(&text);
                rest = behind;
            }
            _ => {
                // With the character that it stands before, which may be another of its kind.
                let mut behind = escaped.chars();
                readable.push('\\');
                readable.extend(behind.next());
                rest = behind.as_str();
            }
        }
    }
    readable.push_str(rest);
    readable.into()
}

/// The bytes from 0x80 on that `text` begins with, each written as `\` and two digits, and what is behind them.
fn beyond_ascii(mut text: &str) -> (Vec<u8>, &str) {
    let mut bytes = Vec::new();
    while let Some(digits) = text.strip_prefix('\\').and_then(|text| text.get(..2)) {
        let Some(byte) = u8::from_str_radix(digits, 16).ok().filter(|byte| *byte >= 0x80) else { break };
        bytes.push(byte);
        text = text.get(3..).unwrap_or_default();
    }
    (bytes, text)
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn letters_beyond_ascii_are_letters() {
        for (name, expected) in [
            ("CN=alice", "CN=alice"),
            (r"CN=Objedn\C3\A1vky,O=\E6\97\A5\E6\9C\AC", "CN=Objednávky,O=日本"),
            (r"CN=\C3\A1", "CN=á"),
            (r"CN=a\, b\C3\A1\,", r"CN=a\, bá\,"),
        ] {
            assert_eq!(readable(name), expected);
        }
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for name in [
            r"CN=a\\C3\\A1",
            r"CN=a\0Ab",
            r"CN=\C3",
            r"CN=\C3A1",
            r"CN=\FF\FE",
            r"CN=\+C\C",
            r"CN=\",
            r"CN=\á\日",
            r"\,\+\=",
        ] {
            assert_eq!(readable(name), name);
        }
    }
}
