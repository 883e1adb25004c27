//! Frames that a real broker and real clients sent, from `testdata/frames`; see `testdata/PROVENANCE.md`.

use std::fs;
use std::path::{Path, PathBuf};

use bifrost_core::filter::Direction;
use bifrost_core::protocol::{APIS, Api};

/// One captured frame.
#[derive(Clone, Debug)]
pub struct Golden {
    /// Its API.
    pub api: &'static Api,
    /// Its version.
    pub version: i16,
    /// Its way.
    pub direction: Direction,
    /// The client that took part.
    pub case: String,
    /// The frame, size field included.
    pub bytes: Vec<u8>,
}

impl Golden {
    /// For messages of failed tests.
    pub fn name(&self) -> String {
        format!("{} v{} {:?} {}", self.api.name, self.version, self.direction, self.case)
    }
}

/// Where the frames are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/frames")
}

/// All captured frames: API by API, versions ascending.
pub fn load() -> Vec<Golden> {
    let mut all = Vec::new();
    for api in names(&folder()) {
        let known = APIS.iter().find(|known| known.name == api).unwrap_or_else(|| panic!("no API is called {api}"));
        for version in names(&folder().join(&api)) {
            let number = version.strip_prefix('v').and_then(|number| number.parse().ok());
            let number: i16 = number.unwrap_or_else(|| panic!("{api}/{version} is no version"));
            let folder = folder().join(&api).join(&version);
            for file in names(&folder) {
                let mut parts = file.split('.');
                let direction = match parts.next() {
                    Some("request") => Direction::Request,
                    Some("response") => Direction::Response,
                    _ => panic!("{api}/{version}/{file} is neither request nor response"),
                };
                let case = parts.next().unwrap_or_else(|| panic!("{api}/{version}/{file} names no case")).to_owned();
                let bytes = fs::read(folder.join(&file)).expect("the frame can be read");
                all.push(Golden { api: known, version: number, direction, case, bytes });
            }
        }
    }
    all.sort_by(|a, b| (a.api.key, a.version, &a.case).cmp(&(b.api.key, b.version, &b.case)));
    all
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("the folder can be read").file_name().into_string().expect("plain names"))
        .collect();
    names.sort();
    names
}
