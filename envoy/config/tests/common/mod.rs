//! Test data, and files that say what is expected of it.
#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test, in helpers too")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bifrost_config::{Loaded, RenderOptions, parse};

pub(crate) fn testdata(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(path)
}

/// The entries of a folder, sorted; an empty one is a broken checkout.
pub(crate) fn entries(folder: &str) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(testdata(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    assert!(!entries.is_empty(), "{folder} is empty");
    entries
}

/// Parses a file in an environment of two variables. Problems name the file without its folder.
pub(crate) fn parsed(file: &Path) -> Loaded {
    let name = Path::new(file.file_name().unwrap());
    parse(name, &fs::read_to_string(file).unwrap(), &|variable| match variable {
        "HOST" => Some("gateway.corp.net".to_owned()),
        "TEXT" => Some("secret".to_owned()),
        _ => None,
    })
}

pub(crate) fn admin() -> SocketAddr {
    RenderOptions::default().admin
}

/// Writes a file below `folder`.
pub(crate) fn write(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

/// Compares with the file, or writes it when `UPDATE_EXPECT=1`.
pub(crate) fn expect(file: &Path, actual: &str) {
    if std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1") {
        fs::write(file, actual).unwrap();
    }
    let expected = fs::read_to_string(file).unwrap_or_default();
    assert!(expected == actual, "{} differs; UPDATE_EXPECT=1 rewrites it\n{actual}", file.display());
}
