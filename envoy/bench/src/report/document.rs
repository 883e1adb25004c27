//! A document with generated parts between `<!-- bench:NAME -->` and `<!-- /bench:NAME -->`, each on a line of its own.
//! Everything else in it is written by hand and stays.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

const OPEN: &str = "<!-- bench:";
const CLOSE: &str = "<!-- /bench:";
const END: &str = " -->";
/// All stages that have no marker of their own, each below a heading.
const STAGES: &str = "stages";

/// What stands between two markers.
#[derive(Debug)]
pub(crate) struct Part {
    name: String,
    text: String,
    is_stage: bool,
}

impl Part {
    pub(crate) fn new(name: &str, text: String) -> Self {
        Self { name: name.to_owned(), text, is_stage: false }
    }

    pub(crate) fn of_stage(name: &str, text: String) -> Self {
        Self { is_stage: true, ..Self::new(name, text) }
    }
}

/// A marker and where it stands.
struct Marker<'a> {
    name: &'a str,
    is_open: bool,
    line: usize,
}

impl<'a> Marker<'a> {
    fn of(line: usize, text: &'a str) -> Option<Self> {
        let (is_open, rest) = match text.trim().strip_prefix(OPEN) {
            Some(rest) => (true, rest),
            None => (false, text.trim().strip_prefix(CLOSE)?),
        };
        // What has no end is a name that no part has.
        Some(Self { name: rest.strip_suffix(END).unwrap_or(rest), is_open, line: line + 1 })
    }
}

/// The document with its parts replaced. An error names file and line: a marker without its other half, twice, or for a
/// part that this run does not have.
pub(crate) fn replace(file: &str, document: &str, parts: &[Part]) -> Result<String> {
    let markers: Vec<_> = document.lines().enumerate().filter_map(|(line, text)| Marker::of(line, text)).collect();
    check(file, &markers)?;
    let opened: Vec<_> = markers.iter().filter(|marker| marker.is_open).collect();
    let text_of = |marker: &Marker<'_>| {
        text(marker, &opened, parts).with_context(|| {
            let names: Vec<_> = parts.iter().map(|part| part.name.as_str()).chain([STAGES]).collect();
            format!("{file}:{}: this run has no part '{}', it has: {}", marker.line, marker.name, names.join(", "))
        })
    };
    let mut out = String::new();
    let mut inside = false;
    for (line, text) in document.lines().enumerate() {
        let marker = Marker::of(line, text);
        inside &= marker.is_none();
        if !inside {
            out += text;
            out.push('\n');
        }
        if let Some(marker) = marker.filter(|marker| marker.is_open) {
            out += &format!("\n{}\n\n", text_of(&marker)?.trim());
            inside = true;
        }
    }
    if !document.ends_with('\n') && out.ends_with('\n') {
        out.pop();
    }
    Ok(out)
}

/// Each marker is closed by the next one, and opened once.
fn check(file: &str, markers: &[Marker<'_>]) -> Result<()> {
    let mut rest = markers.iter();
    while let Some(Marker { name, is_open, line }) = rest.next() {
        ensure!(is_open, "{file}:{line}: {CLOSE}{name}{END} closes nothing; put {OPEN}{name}{END} before it");
        let is_closed = rest.next().is_some_and(|close| !close.is_open && close.name == *name);
        ensure!(is_closed, "{file}:{line}: {OPEN}{name}{END} is not closed; put {CLOSE}{name}{END} behind it");
    }
    for (index, Marker { name, line, .. }) in markers.iter().enumerate().filter(|(_, marker)| marker.is_open) {
        let first = markers.iter().take(index).find(|first| first.is_open && first.name == *name);
        if let Some(first) = first {
            bail!("{file}:{line}: {OPEN}{name}{END} stands in line {} already", first.line);
        }
    }
    Ok(())
}

/// `None` when there is no such part.
fn text(marker: &Marker<'_>, opened: &[&Marker<'_>], parts: &[Part]) -> Option<String> {
    if marker.name == STAGES {
        let has_own = |part: &&Part| opened.iter().any(|marker| marker.name == part.name);
        let others = parts.iter().filter(|part| part.is_stage && !has_own(part));
        return Some(others.map(|part| format!("### {}\n\n{}\n\n", part.name, part.text.trim())).collect());
    }
    parts.iter().find(|part| part.name == marker.name).map(|part| part.text.clone())
}

/// The path of a file as a document links to it.
pub(crate) fn link(document: &Path, file: &Path) -> Result<String> {
    let found = |path: &Path| path.canonicalize().with_context(|| format!("cannot find {}", path.display()));
    let document = found(document)?;
    let folder = document.parent().context("a document lies in a folder")?;
    let file = found(file)?;
    let below = file.strip_prefix(folder).ok();
    let link = below.and_then(Path::to_str).with_context(|| {
        let (file, folder) = (file.display(), folder.display());
        format!("{file} is not below {folder}, so that {} cannot link to it: put it there first", document.display())
    })?;
    Ok(link.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str =
        "# Title\n\nBy hand.\n\n<!-- bench:machine -->\nold\n<!-- /bench:machine -->\n\nBy hand, too.\n";

    fn parts() -> Vec<Part> {
        vec![
            Part::new("machine", "new\n".into()),
            Part::of_stage("one", "first".into()),
            Part::of_stage("two", "second".into()),
        ]
    }

    fn written(document: &str) -> String {
        replace("a.md", document, &parts()).unwrap()
    }

    fn error(document: &str) -> String {
        replace("a.md", document, &parts()).unwrap_err().to_string()
    }

    #[test]
    fn only_what_stands_between_markers_is_replaced() {
        let replaced = written(DOCUMENT);
        assert_eq!(replaced, DOCUMENT.replace("old\n", "\nnew\n\n"));
        assert_eq!(written(&replaced), replaced);
        assert_eq!(written("no end of line"), "no end of line");
    }

    #[test]
    fn stages_without_a_marker_of_their_own_come_together() {
        let document = "<!-- bench:stages -->\n<!-- /bench:stages -->\n<!-- bench:two -->\n<!-- /bench:two -->\n";
        let replaced = written(document);
        assert!(replaced.contains("### one\n\nfirst\n"), "{replaced}");
        assert!(!replaced.contains("### two") && replaced.contains("<!-- bench:two -->\n\nsecond\n"), "{replaced}");
    }

    #[test]
    fn a_marker_of_nothing_is_named_with_file_and_line() {
        let document = DOCUMENT.replace("bench:machine", "bench:machines");
        assert_eq!(error(&document), "a.md:5: this run has no part 'machines', it has: machine, one, two, stages");
        let unfinished = error(&DOCUMENT.replace(" -->", "-->"));
        assert!(unfinished.starts_with("a.md:5: this run has no part 'machine-->'"), "{unfinished}");
    }

    #[test]
    fn a_marker_without_its_other_half_is_named_with_file_and_line() {
        let unclosed = error(&DOCUMENT.replace("<!-- /bench:machine -->", ""));
        assert!(unclosed.starts_with("a.md:5: <!-- bench:machine --> is not closed"), "{unclosed}");
        let other = error(&DOCUMENT.replace("/bench:machine", "/bench:one"));
        assert!(other.starts_with("a.md:5: <!-- bench:machine --> is not closed"), "{other}");
        let unopened = error(&DOCUMENT.replace("<!-- bench:machine -->", ""));
        assert!(unopened.starts_with("a.md:7: <!-- /bench:machine --> closes nothing"), "{unopened}");
    }

    #[test]
    fn a_part_stands_once() {
        let twice = error(&format!("{DOCUMENT}{DOCUMENT}"));
        assert_eq!(twice, "a.md:14: <!-- bench:machine --> stands in line 5 already");
    }

    #[test]
    fn links_are_paths_below_the_document() {
        let folder = std::env::temp_dir().join(format!("bifrost-bench-links-{}", std::process::id()));
        let results = folder.join("envoy/results");
        std::fs::create_dir_all(&results).unwrap();
        let document = folder.join("BENCHMARKS.md");
        std::fs::write(&document, "").unwrap();
        assert_eq!(link(&document, &results).unwrap(), "envoy/results");
        let other = link(&document, &std::env::temp_dir()).unwrap_err().to_string();
        assert!(other.contains("put it there first"), "{other}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
