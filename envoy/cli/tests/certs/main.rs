//! `bifrost certs` as its user meets it: what it writes, what it says, how it exits.
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test, in helpers too"
)]

mod fetch;
mod generate;

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use tempfile::TempDir;

/// A folder in which `bifrost` runs.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Names of all files of a directory below, sorted; temporary ones would show.
    fn list(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(directory)).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// `bifrost certs ARGUMENTS`, with the system's CAs replaced by `system.pem`.
    fn certs(&self, arguments: &[&str]) -> Assert {
        Command::new(assert_cmd::cargo::cargo_bin!("bifrost"))
            .current_dir(self.0.path())
            .env("SSL_CERT_FILE", self.path("system.pem"))
            .env_remove("SSL_CERT_DIR")
            .env("COLUMNS", "200")
            .arg("certs")
            .args(arguments)
            .assert()
    }
}
