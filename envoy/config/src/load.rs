//! Files and directories in, typed documents out.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::document::{KafkaTargetCluster, KafkaVirtualCluster};
use crate::problem::Problem;
use crate::yaml::{self, Node};

/// A document and where it stands, so that a problem can name file, line and field.
#[derive(Debug)]
pub struct Document<R = KafkaVirtualCluster> {
    /// What the document says.
    pub resource: R,
    file: PathBuf,
    /// From 1; 0 when the file has one document only.
    index: usize,
    node: Node,
}

impl<R> Document<R> {
    /// A problem of the field at `path`, with its place in the file.
    pub(crate) fn problem(&self, path: &str, message: String) -> Problem {
        problem(&self.file, self.index, &self.node, (path.to_owned(), message))
    }

    /// What stands at `path` as a `T`; `None` when nothing does. The problem names the first field that does not fit.
    pub(crate) fn typed<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, Problem> {
        let Some(node) = self.node.at(path) else { return Ok(None) };
        node.typed().map(Some).map_err(|(below, message)| {
            let dot = if below.is_empty() || below.starts_with('[') { "" } else { "." };
            self.problem(&format!("{path}{dot}{below}"), message)
        })
    }

    /// The folder that paths in the document are relative to.
    pub(crate) fn folder(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new(""))
    }

    /// `file:line` of the field at `path`.
    pub(crate) fn place(&self, path: &str) -> String {
        format!("{}:{}", self.file.display(), self.node.line_of(path))
    }
}

/// What was read: the documents that could be typed, and the problems of the others.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Virtual clusters, in the order of the files.
    pub documents: Vec<Document>,
    /// Target clusters, in the order of the files.
    pub target_clusters: Vec<Document<KafkaTargetCluster>>,
    /// Unreadable files, YAML errors, unknown and missing fields, wrong types, unset variables.
    pub problems: Vec<Problem>,
}

/// Reads the documents of files; of a directory, its `*.yaml` and `*.yml` files by name.
/// Variables come from the environment of the process.
pub fn load(paths: &[PathBuf]) -> Loaded {
    let mut loaded = Loaded::default();
    for path in paths {
        let read = files(path).and_then(|files| {
            files
                .into_iter()
                .map(|file| fs::read_to_string(&file).map(|text| (file, text)))
                .collect::<io::Result<Vec<_>>>()
        });
        match read {
            Ok(files) => {
                if files.is_empty() {
                    loaded.problems.push(of_file(path, "no *.yaml or *.yml file in this directory".to_owned()));
                }
                for (file, text) in files {
                    let Loaded { documents, target_clusters, problems } =
                        parse(&file, &text, &|name| std::env::var(name).ok());
                    loaded.documents.extend(documents);
                    loaded.target_clusters.extend(target_clusters);
                    loaded.problems.extend(problems);
                }
            }
            Err(error) => loaded.problems.push(of_file(path, format!("cannot be read: {error}"))),
        }
    }
    loaded
}

/// Reads the documents in `text`; `file` is only named in problems. `lookup` gives the value of a variable.
pub fn parse(file: &Path, text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Loaded {
    let mut loaded = Loaded::default();
    let nodes = match yaml::read(text) {
        Ok(nodes) => nodes,
        Err((line, message)) => {
            loaded.problems.push(Problem { line, ..of_file(file, message) });
            return loaded;
        }
    };
    let several = nodes.len() > 1;
    for (position, mut node) in (1..).zip(nodes) {
        let index = if several { position } else { 0 };
        let unset = node.expand(lookup);
        if !unset.is_empty() {
            loaded.problems.extend(unset.into_iter().map(|finding| problem(file, index, &node, finding)));
            continue;
        }
        let read = match node.text("kind") {
            Some("KafkaTargetCluster") => Document::read(file, index, node).map(|it| loaded.target_clusters.push(it)),
            // Whatever else it is, it is told so.
            _ => Document::read(file, index, node).map(|it| loaded.documents.push(it)),
        };
        loaded.problems.extend(read.err());
    }
    loaded
}

impl<R: DeserializeOwned> Document<R> {
    fn read(file: &Path, index: usize, node: Node) -> Result<Self, Problem> {
        match node.typed() {
            Ok(resource) => Ok(Document { resource, file: file.to_owned(), index, node }),
            Err(finding) => Err(problem(file, index, &node, finding)),
        }
    }
}

/// The files that a path given on the command line stands for: itself, or the documents of a directory by name.
pub fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        if file.is_file() && file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn of_file(file: &Path, message: String) -> Problem {
    Problem { file: file.to_owned(), line: 0, document: 0, path: String::new(), message }
}

fn problem(file: &Path, document: usize, node: &Node, (path, message): (String, String)) -> Problem {
    Problem { file: file.to_owned(), line: node.line_of(&path), document, path, message }
}
