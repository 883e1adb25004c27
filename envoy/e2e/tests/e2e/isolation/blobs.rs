//! The blobs of classic consumer groups, written and read without the gateway's help.

use bifrost_testkit::json::{from_hex, hex};

/// A subscription, or an assignment: version 0 of both begins with the topics.
pub(crate) fn subscription(topics: &[&str]) -> String {
    let mut blob = vec![0, 0];
    blob.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        blob.extend((topic.len() as i16).to_be_bytes());
        blob.extend(topic.as_bytes());
    }
    blob.extend((-1_i32).to_be_bytes());
    hex(&blob)
}

/// An assignment of partition 0 of each topic.
pub(crate) fn assignment(topics: &[&str]) -> String {
    let mut blob = vec![0, 0];
    blob.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        blob.extend((topic.len() as i16).to_be_bytes());
        blob.extend(topic.as_bytes());
        blob.extend([0, 0, 0, 1, 0, 0, 0, 0]);
    }
    blob.extend((-1_i32).to_be_bytes());
    hex(&blob)
}

/// Topics at the beginning of a subscription or an assignment of partition 0 each.
pub(crate) fn topics(blob: &str) -> Vec<String> {
    let blob = from_hex(blob);
    let names = |gap: usize| {
        let number = |at: usize, width: usize| {
            Some(blob.get(at..at + width)?.iter().fold(0_usize, |value, byte| value << 8 | usize::from(*byte)))
        };
        let (count, mut at) = (number(2, 4)?, 6);
        let mut names = Vec::new();
        for _ in 0..count {
            let length = number(at, 2)?;
            names.push(String::from_utf8(blob.get(at + 2..at + 2 + length)?.to_vec()).ok()?);
            at += 2 + length + gap;
        }
        (at + 4 == blob.len()).then_some(names)
    };
    names(0).or_else(|| names(8)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_read_from_both() {
        assert_eq!(topics(&subscription(&["a", "bc"])), ["a", "bc"]);
        assert_eq!(topics(&assignment(&["a", "bc"])), ["a", "bc"]);
        assert_eq!(topics("0000"), Vec::<String>::new());
    }
}
