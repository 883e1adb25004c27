//! PEM files in, certificates and keys out, or what is wrong with the file.

use std::fmt;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};

use super::certificate::{Certificate, printable};

/// More than any bundle of CA certificates; a file beyond it was named by mistake.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// What is wrong with a file. Displays as `file: reason`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PemProblem {
    /// As it was named.
    pub file: PathBuf,
    /// A sentence about the file, without its name.
    pub reason: String,
}

impl fmt::Display for PemProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.reason)
    }
}

impl std::error::Error for PemProblem {}

impl PemProblem {
    pub(super) fn new(file: &Path, reason: impl Into<String>) -> PemProblem {
        PemProblem { file: file.to_owned(), reason: reason.into() }
    }
}

/// The certificates of a file in their order, at least one. Sections of other kinds are passed over.
pub fn certificates(file: &Path) -> Result<Vec<Certificate>, PemProblem> {
    let bytes = read(file)?;
    let ders: Vec<CertificateDer<'static>> = sections(file, &bytes)?;
    if ders.is_empty() {
        return Err(PemProblem::new(file, "holds no certificate (no 'BEGIN CERTIFICATE' line)"));
    }
    let mut certificates = Vec::new();
    for (number, der) in (1..).zip(ders) {
        let certificate = Certificate::parse(der)
            .map_err(|reason| PemProblem::new(file, format!("certificate {number} of the file is {reason}")))?;
        certificates.push(certificate);
    }
    Ok(certificates)
}

/// The first private key of a file: PKCS #8, or the older forms for RSA and EC keys.
pub fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, PemProblem> {
    let bytes = read(file)?;
    if [&b"BEGIN ENCRYPTED PRIVATE KEY"[..], b"Proc-Type: 4,ENCRYPTED"].iter().any(|mark| contains(&bytes, mark)) {
        return Err(PemProblem::new(
            file,
            "the private key is encrypted and nobody could type its password; write it without one, as with 'openssl \
             pkcs8 -topk8 -nocrypt'",
        ));
    }
    let keys: Vec<PrivateKeyDer<'static>> = sections(file, &bytes)?;
    keys.into_iter().next().ok_or_else(|| PemProblem::new(file, "holds no private key (no 'BEGIN PRIVATE KEY' line)"))
}

fn read(file: &Path) -> Result<Vec<u8>, PemProblem> {
    let unreadable = |error| PemProblem::new(file, format!("cannot be read: {error}"));
    // Reading a pipe might wait forever.
    if !fs::metadata(file).map_err(unreadable)?.is_file() {
        return Err(PemProblem::new(file, "is not a file"));
    }
    let mut bytes = Vec::new();
    let mut reader = File::open(file).map_err(unreadable)?.take(FILE_BYTES_MAX.saturating_add(1));
    reader.read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(PemProblem::new(
            file,
            format!("is larger than {} MiB, too large for a PEM file", FILE_BYTES_MAX >> 20),
        ));
    }
    Ok(bytes)
}

fn sections<T: PemObject>(file: &Path, bytes: &[u8]) -> Result<Vec<T>, PemProblem> {
    if !contains(bytes, b"-----BEGIN ") {
        let what = match bytes {
            [] => "is empty",
            // How DER and PKCS #12 begin, and how a Java key store does.
            [0x30, ..] => {
                "is not PEM; it looks like DER or PKCS #12, convert it with 'openssl x509' or 'openssl pkcs12'"
            }
            [0xfe, 0xed, 0xfe, 0xed, ..] => "is not PEM; it looks like a Java key store, convert it with 'keytool'",
            _ => "is not PEM (no '-----BEGIN' line)",
        };
        return Err(PemProblem::new(file, what));
    }
    T::pem_slice_iter(bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| PemProblem::new(file, format!("is damaged PEM: {}", damage(&error))))
}

fn damage(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no '-----END' line".to_owned(),
        pem::Error::IllegalSectionStart { line } => {
            format!("the line '{}' begins no section", printable(&String::from_utf8_lossy(line)))
        }
        pem::Error::Base64Decode(_) => "a section is not base64".to_owned(),
        other => printable(&other.to_string()),
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
