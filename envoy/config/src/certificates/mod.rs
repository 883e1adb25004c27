//! Certificates and keys in PEM files: which names a virtual cluster needs, and what is wrong with a file.
//!
//! [`names`] says what a certificate must hold, [`check_pair`] and [`check_trusted`] whether the files that a
//! configuration names will do, one sentence for each problem; [`check_files`] does so for all documents of a gateway. [`Certificate`] is what a person wants to know of one.

mod certificate;
mod check;
mod gateway;
mod names;
mod pem;

pub use certificate::{Certificate, printable, time_text};
pub use check::{check_pair, check_trusted};
pub use gateway::check_files;
pub use names::{NODE_ID, has_variable, names};
pub use pem::{PemProblem, certificates, private_key};

#[cfg(test)]
mod tests;
