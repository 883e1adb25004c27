//! ARCHITECTURE.md and README.md tell the truth about what is where.

use std::path::Path;

/// The project's root.
fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Everything in backquotes that begins with a top-level folder of the project.
fn paths(text: &str) -> Vec<&str> {
    let is_path = |word: &&str| ["filters/", "envoy/", "testdata/"].iter().any(|top| word.starts_with(top));
    text.split('`').skip(1).step_by(2).filter(is_path).collect()
}

#[test]
fn every_path_that_the_documents_name_exists() {
    for document in ["ARCHITECTURE.md", "README.md", "BENCHMARKS.md"] {
        let text = std::fs::read_to_string(root().join(document)).unwrap();
        for path in paths(&text) {
            assert!(root().join(path).exists(), "{document} names {path}, which does not exist");
        }
    }
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(paths(&text).len() > 15, "the test has lost sight of the paths");
}
