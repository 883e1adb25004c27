//! Whether the files that a configuration names will do.

use std::path::Path;

use rustls::crypto::ring::default_provider;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use time::OffsetDateTime;

use super::certificate::Certificate;
use super::pem::{PemProblem, certificates, private_key};

/// Missing names in a sentence; the rest is counted.
const NAMES_SHOWN: usize = 5;

/// Checks a certificate chain and its private key, which may be in one file. `names` are what clients will connect to,
/// in the form of [`super::names`]; none for the certificate of a client.
///
/// Keys are RSA, ECDSA (P-256, P-384) or Ed25519; others are refused.
pub fn check_pair(certificate: &Path, key: &Path, names: &[String], now: OffsetDateTime) -> Vec<PemProblem> {
    let mut problems = Vec::new();
    let private_key = private_key(key).map_err(|problem| problems.push(problem)).ok();
    let chain = match certificates(certificate) {
        Ok(chain) => chain,
        Err(problem) => {
            problems.insert(0, problem);
            return problems;
        }
    };
    for (number, member) in (1..).zip(&chain) {
        if let Some(reason) = member.out_of_date(now) {
            problems.push(PemProblem::new(certificate, format!("{} {reason}", titled(number, member))));
        }
    }
    if let Some(leaf) = chain.first() {
        problems.extend(lacking(leaf, names).map(|reason| PemProblem::new(certificate, reason)));
    }
    if let Some(private_key) = private_key {
        match default_provider().key_provider.load_private_key(private_key) {
            Err(_) => problems.push(PemProblem::new(
                key,
                "holds a private key that cannot be used; use RSA of at least 2048 bits or ECDSA on the curve P-256 or P-384",
            )),
            Ok(private_key) => {
                let belongs = |member: &Certificate| {
                    let pair = CertifiedKey::new(vec![member.der.clone()], private_key.clone());
                    matches!(pair.keys_match(), Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)))
                };
                match chain.iter().position(belongs) {
                    Some(0) => {}
                    Some(_) => problems.push(PemProblem::new(
                        certificate,
                        format!("the private key {} is of a later certificate of the file; put that one first", key.display()),
                    )),
                    None => problems.push(PemProblem::new(
                        key,
                        format!("the private key does not match the certificate {}", certificate.display()),
                    )),
                }
            }
        }
    }
    problems
}

/// Checks a file of CA certificates that are to be trusted. Single ones may be out of date, as in bundles, but not all.
pub fn check_trusted(file: &Path, now: OffsetDateTime) -> Vec<PemProblem> {
    let trusted = match certificates(file) {
        Ok(trusted) => trusted,
        Err(problem) => return vec![problem],
    };
    let mut reasons = Vec::new();
    for (number, member) in (1..).zip(&trusted) {
        match member.out_of_date(now) {
            Some(reason) => reasons.push(PemProblem::new(file, format!("{} {reason}", titled(number, member)))),
            None => return Vec::new(),
        }
    }
    reasons
}

/// `certificate 2 (CN=Bifrost CA)`; the first one goes without a number.
fn titled(number: usize, certificate: &Certificate) -> String {
    let number = if number > 1 { format!(" {number}") } else { String::new() };
    format!("certificate{number} ({})", certificate.subject)
}

fn lacking(leaf: &Certificate, names: &[String]) -> Option<String> {
    let missing: Vec<&String> = names.iter().filter(|name| !leaf.covers(name)).collect();
    if missing.is_empty() {
        return None;
    }
    let noun = if missing.len() == 1 { "name" } else { "names" };
    let has = if leaf.names.is_empty() {
        "it has no subject alternative names, and clients do not look at the common name".to_owned()
    } else {
        format!("it has {}", shown(leaf.names.iter()))
    };
    Some(format!("the certificate lacks the {noun} {}; {has}", shown(missing.into_iter())))
}

fn shown<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let more = names.len().saturating_sub(NAMES_SHOWN);
    let mut text = names.take(NAMES_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}
