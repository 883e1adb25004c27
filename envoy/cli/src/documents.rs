//! Documents in, a validated gateway out, or every problem on standard error.

use bifrost_config::certificates::check_files;
use bifrost_config::{Gateway, Problem, load, validate};
use time::OffsetDateTime;

use crate::arguments::Documents;

/// Where the certificates and keys are that documents name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PemFiles {
    /// On this machine: what is wrong with one is a problem of the documents.
    Here,
    /// Perhaps on another machine: a warning will do.
    Elsewhere,
}

/// `None`: the problems have been printed.
pub(crate) fn gateway(documents: &Documents, pem_files: PemFiles) -> Option<Gateway> {
    match read(documents, pem_files) {
        Ok(gateway) => {
            for warning in &gateway.warnings {
                tracing::warn!("{warning}");
            }
            Some(gateway)
        }
        Err(problems) => {
            for problem in &problems {
                eprintln!("{problem}");
            }
            eprintln!("error: {} in the documents", counted(problems.len(), "problem"));
            None
        }
    }
}

/// Everything that the documents say and that can be checked from here; says nothing.
pub(crate) fn read(documents: &Documents, pem_files: PemFiles) -> Result<Gateway, Vec<Problem>> {
    let mut gateway = validate(load(&documents.files), documents.admin())?;
    let found = check_files(&gateway, OffsetDateTime::now_utc());
    match pem_files {
        PemFiles::Here if !found.is_empty() => return Err(found),
        PemFiles::Here => {}
        PemFiles::Elsewhere => gateway.warnings.extend(found),
    }
    Ok(gateway)
}

/// `1 problem`, `2 problems`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}
