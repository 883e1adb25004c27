//! The whole report of a small run.

use expect_test::expect_file;

use super::*;

/// Made by hand: cases that cost more, rounds that disagree, a pace that the load set, a curve that grows by the square.
fn small() -> Run {
    serde_json::from_str(include_str!("fixtures/small.json")).unwrap()
}

#[test]
fn small_run_for_a_terminal() {
    let text = text(&small());
    expect_file!["fixtures/small.txt"].assert_eq(&text);
    let widest = text.lines().filter(|line| line.starts_with("  ")).map(|line| line.chars().count()).max().unwrap();
    assert!(widest <= 160, "{widest} columns");
}

#[test]
fn small_run_for_a_page() {
    let parts = parts(&small(), "results/small.json", Some("results")).unwrap();
    let page = document::replace("page.md", include_str!("fixtures/page.md"), &parts).unwrap();
    expect_file!["fixtures/small.md"].assert_eq(&page);
}
