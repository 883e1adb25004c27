//! What is wrong with a document, and where.

use std::fmt;
use std::path::PathBuf;

/// One thing an operator has to change. Displays as `file:line: path: message`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, as given on the command line or found below a directory given there; empty when the problem is
    /// in no file.
    pub file: PathBuf,
    /// Line in the file, from 1; 0 when the problem has no line.
    pub line: u64,
    /// Which document of a file with several, from 1; 0 when the file has one.
    pub document: usize,
    /// The field, such as `spec.listener.port`; empty when the problem is not in a field.
    pub path: String,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.as_os_str().is_empty() {
            write!(f, "{}", self.file.display())?;
            if self.line > 0 {
                write!(f, ":{}", self.line)?;
            }
            if self.document > 0 {
                write!(f, " (document {})", self.document)?;
            }
            f.write_str(": ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}
