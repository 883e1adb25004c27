//! Tells where two versions of the generated file differ, by API and field instead of by line number.

use similar::{ChangeTag, TextDiff};

/// More lines than a person reads; the rest is counted.
const LINES_MAX: usize = 40;

/// One line per changed line: where it is, then the `-` committed or `+` expected text. Empty when equal.
pub fn differences(committed: &str, generated: &str) -> Vec<String> {
    if committed == generated {
        return Vec::new();
    }
    let (mut old, mut new) = (Place::default(), Place::default());
    let mut lines = Vec::new();
    for change in TextDiff::from_lines(committed, generated).iter_all_changes() {
        let line = change.value().trim_end();
        let (sign, place) = match change.tag() {
            ChangeTag::Equal => {
                old.enter(line);
                new.enter(line);
                continue;
            }
            ChangeTag::Delete => ('-', &mut old),
            ChangeTag::Insert => ('+', &mut new),
        };
        place.enter(line);
        lines.push(format!("{place}: {sign} {}", line.trim_start()));
    }
    if lines.len() > LINES_MAX {
        let more = lines.len() - LINES_MAX;
        lines.truncate(LINES_MAX);
        lines.push(format!("and {more} more lines"));
    }
    lines
}

/// Where a line of the generated file is: the labels of the lines around it, by indentation.
#[derive(Default)]
struct Place {
    around: Vec<(usize, String)>,
}

impl Place {
    /// Moves on to the next line.
    fn enter(&mut self, line: &str) {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if text.is_empty() || text.starts_with(']') || text.starts_with('}') {
            return;
        }
        if let Some(name) = quoted(text, "name: \"") {
            // The label of the whole API, one level up.
            self.around.retain(|(depth, _)| *depth + 4 < indent);
            self.around.push((indent - 4, name));
            return;
        }
        self.around.retain(|(depth, _)| *depth < indent);
        if let Some(name) = quoted(text, "structure(\"").or_else(|| quoted(text, "field(\"")) {
            self.around.push((indent, name));
        } else if let Some(body) = text.strip_suffix(": &[") {
            self.around.push((indent, body.to_owned()));
        } else if let Some(blob) = text.strip_prefix("pub static ").and_then(|text| text.split(':').next())
            && blob != "APIS"
        {
            self.around.push((indent, blob.to_owned()));
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.around.is_empty() {
            return f.write_str("file");
        }
        let names: Vec<&str> = self.around.iter().map(|(_, name)| name.as_str()).collect();
        f.write_str(&names.join("."))
    }
}

/// What stands between `before` and the next quote.
fn quoted(text: &str, before: &str) -> Option<String> {
    let (name, _) = text.strip_prefix(before)?.split_once('"')?;
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
pub static APIS: &[Api] = &[
    Api {
        key: ApiKey::FETCH,
        name: \"Fetch\",
        request: &[
            structure(\"Topics\", 0, 18, &[
                field(\"Topic\", K::String, 0, 12),
            ]).array(),
            field(\"RackId\", K::String, 11, 18),
        ],
    },
];
";

    #[test]
    fn equal_files_have_no_differences() {
        assert!(differences(TEXT, TEXT).is_empty());
    }

    #[test]
    fn a_difference_names_api_body_and_field() {
        let lines = differences(TEXT, &TEXT.replace("0, 12", "0, 13"));
        assert_eq!(
            lines,
            [
                "Fetch.request.Topics.Topic: - field(\"Topic\", K::String, 0, 12),",
                "Fetch.request.Topics.Topic: + field(\"Topic\", K::String, 0, 13),",
            ]
        );
    }

    #[test]
    fn a_missing_field_is_named() {
        let lines = differences(TEXT, &TEXT.replace("            field(\"RackId\", K::String, 11, 18),\n", ""));
        assert_eq!(lines, ["Fetch.request.RackId: - field(\"RackId\", K::String, 11, 18),"]);
    }

    #[test]
    fn a_long_list_is_cut() {
        let lines = differences("", &"x\n".repeat(100));
        assert_eq!(lines.len(), LINES_MAX + 1);
        assert_eq!(lines[LINES_MAX], "and 60 more lines");
    }
}
