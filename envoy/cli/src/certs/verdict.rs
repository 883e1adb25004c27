//! Whether a client would trust what a server showed.

use std::path::Path;

use anyhow::{Result, bail};
use bifrost_config::certificates::{Certificate, certificates, printable, time_text};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error, RootCertStore};
use time::OffsetDateTime;

use crate::documents::counted;

const SELF_SIGNED: &str = "the certificate is signed by itself and is not among those trusted";

/// The CAs by which to judge.
pub(super) struct Trusted {
    roots: RootCertStore,
    certificates: Vec<CertificateDer<'static>>,
    /// Whose they are.
    pub(super) of: String,
}

impl Trusted {
    /// The certificates of a PEM file.
    pub(super) fn of_file(file: &Path) -> Result<Trusted> {
        let certificates = certificates(file)?;
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            if roots.add(certificate.der.clone()).is_err() {
                bail!("{}: {} cannot be used as a CA certificate", file.display(), certificate.subject);
            }
        }
        let certificates = certificates.into_iter().map(|certificate| certificate.der).collect();
        Ok(Trusted { roots, certificates, of: file.display().to_string() })
    }

    /// Those of the system; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
    pub(super) fn of_system() -> Trusted {
        let mut roots = RootCertStore::empty();
        // What cannot be read or used is missing for other programs, too.
        let certificates = rustls_native_certs::load_native_certs().certs;
        let (added, _) = roots.add_parsable_certificates(certificates.iter().cloned());
        Trusted { roots, certificates, of: format!("this system ({})", counted(added, "CA certificate")) }
    }

    /// Whether a client that trusts these takes the chain, whatever the name. The error is the reason.
    pub(super) fn verify(&self, chain: &[Certificate], now: OffsetDateTime) -> Result<(), String> {
        let [leaf, intermediates @ ..] = chain else { return Err("there is no certificate".to_owned()) };
        // Java, OpenSSL and Envoy take a server certificate that is itself among those trusted, even a CA's.
        if self.certificates.contains(&leaf.der) {
            return leaf.out_of_date(now).map_or(Ok(()), |reason| Err(format!("the certificate {reason}")));
        }
        let intermediates: Vec<CertificateDer<'_>> = intermediates.iter().map(|member| member.der.clone()).collect();
        let now =
            UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.unix_timestamp().try_into().unwrap_or(0)));
        ParsedCertificate::try_from(&leaf.der)
            .and_then(|parsed| {
                let algorithms = ring::default_provider().signature_verification_algorithms.all;
                verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, &intermediates, now, algorithms)
            })
            .map_err(|error| reason(&error, chain))
    }
}

fn reason(error: &Error, chain: &[Certificate]) -> String {
    let time = |time: &UnixTime| {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        OffsetDateTime::from_unix_timestamp(seconds).map_or_else(|_| "a far day".to_owned(), time_text)
    };
    let Error::InvalidCertificate(error) = error else { return printable(&error.to_string()) };
    match error {
        CertificateError::UnknownIssuer => match chain {
            [only, ..] if only.is_self_issued() => SELF_SIGNED.to_owned(),
            [.., last] if last.is_self_issued() => format!("the CA {} is not among those trusted", last.subject),
            [.., last] => {
                format!("the CA {} is not among those trusted, or a certificate between is not sent", last.issuer)
            }
            [] => "there is no certificate".to_owned(),
        },
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("a certificate has expired on {}", time(not_after))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("a certificate is not valid before {}", time(not_before))
        }
        CertificateError::BadSignature => "a certificate is not signed by the CA that it names".to_owned(),
        // The verifier has no name of its own for this.
        CertificateError::Other(_) if chain.first().is_some_and(|leaf| leaf.is_ca) => match chain {
            [only, ..] if only.is_self_issued() => SELF_SIGNED.to_owned(),
            _ => "the server shows the certificate of a CA as its own".to_owned(),
        },
        other => printable(&other.to_string()),
    }
}
