//! Whether documents have changed, seen by looking.
//!
//! Looking again and again finds what every kind of change has in common: files that are written over, renamed into place,
//! added and removed, and symbolic links that lead elsewhere, which is how Kubernetes changes a ConfigMap.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::sleep;

/// How often is looked. What looks the same twice has come to rest.
const INTERVAL: Duration = Duration::from_millis(200);

/// Documents that may change.
#[derive(Debug)]
pub(crate) struct Watch {
    paths: Vec<PathBuf>,
    /// How they looked when they were read.
    read: Look,
}

/// Each file and what tells one content from another; nothing for a path that cannot be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Look(Vec<(PathBuf, Option<Traits>)>);

/// Device, inode, size, and seconds and nanoseconds of the last change of content and of the file.
type Traits = (u64, u64, u64, [i64; 4]);

impl Watch {
    /// To be made before the documents are read, so that nothing is missed.
    pub(crate) fn new(paths: &[PathBuf]) -> Watch {
        Watch { paths: paths.to_vec(), read: Look::at(paths) }
    }

    /// Waits until the documents look different and have come to rest. The caller reads them then.
    pub(crate) async fn changed(&mut self) {
        let mut last = self.read.clone();
        loop {
            sleep(INTERVAL).await;
            let now = Look::at(&self.paths);
            if now != self.read && now == last {
                self.read = now;
                return;
            }
            last = now;
        }
    }

    /// The caller reads the documents now, for another reason.
    pub(crate) fn renew(&mut self) {
        self.read = Look::at(&self.paths);
    }
}

impl Look {
    fn at(paths: &[PathBuf]) -> Look {
        let of_path = |path: &PathBuf| match bifrost_config::files(path) {
            Ok(files) => {
                files.into_iter().map(|file| (traits(&file), file)).map(|(traits, file)| (file, traits)).collect()
            }
            Err(_) => vec![(path.clone(), None)],
        };
        Look(paths.iter().flat_map(of_path).collect())
    }
}

fn traits(file: &Path) -> Option<Traits> {
    let of = |it: Metadata| (it.dev(), it.ino(), it.size(), [it.mtime(), it.mtime_nsec(), it.ctime(), it.ctime_nsec()]);
    fs::metadata(file).ok().map(of)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    async fn notices(watch: &mut Watch) -> bool {
        tokio::time::timeout(Duration::from_secs(1), watch.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn every_way_to_change_a_file_is_noticed_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a.yaml"), "1").unwrap();
        let mut watch = Watch::new(&[folder.path().to_owned()]);
        assert!(!notices(&mut watch).await);

        fs::write(path("a.yaml"), "2").unwrap();
        assert!(notices(&mut watch).await, "written over");
        assert!(!notices(&mut watch).await);
        fs::write(path("new"), "3").unwrap();
        fs::rename(path("new"), path("a.yaml")).unwrap();
        assert!(notices(&mut watch).await, "renamed into place");
        fs::write(path("b.yaml"), "").unwrap();
        assert!(notices(&mut watch).await, "added");
        fs::remove_file(path("b.yaml")).unwrap();
        assert!(notices(&mut watch).await, "removed");
        fs::write(path("notes.txt"), "").unwrap();
        assert!(!notices(&mut watch).await, "not a document");
    }

    #[tokio::test]
    async fn the_swap_of_a_config_map_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for version in ["..1", "..2"] {
            fs::create_dir(path(version)).unwrap();
            fs::write(path(version).join("a.yaml"), "same").unwrap();
        }
        symlink("..1", path("..data")).unwrap();
        symlink("..data/a.yaml", path("a.yaml")).unwrap();
        let (mut of_folder, mut of_file) = (Watch::new(&[folder.path().to_owned()]), Watch::new(&[path("a.yaml")]));

        symlink("..2", path("..data_tmp")).unwrap();
        fs::rename(path("..data_tmp"), path("..data")).unwrap();

        assert!(notices(&mut of_folder).await);
        assert!(notices(&mut of_file).await);
    }
}
