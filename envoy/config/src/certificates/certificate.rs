//! One X.509 certificate, read for people.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use time::OffsetDateTime;
use time::macros::format_description;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// No text of a certificate is shown beyond this; whoever made it may not mean well.
const TEXT_CHARS_MAX: usize = 200;

/// What a certificate says. Texts are fit for a terminal: see [`printable`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// As it stands in the file or came over the wire.
    pub der: CertificateDer<'static>,
    /// Distinguished name, such as `CN=alice, O=Orders`.
    pub subject: String,
    /// Distinguished name of the CA.
    pub issuer: String,
    /// Subject alternative names: DNS names and IP addresses as they are, the others with their kind before them.
    pub names: Vec<String>,
    /// First second of validity.
    pub not_before: OffsetDateTime,
    /// Last second of validity.
    pub not_after: OffsetDateTime,
    /// Whether it may sign other certificates.
    pub is_ca: bool,
    subject_der: Vec<u8>,
    issuer_der: Vec<u8>,
}

impl Certificate {
    /// Reads one certificate. The error is the end of a sentence: `not an X.509 certificate: ...`.
    pub fn parse(der: CertificateDer<'static>) -> Result<Certificate, String> {
        let (rest, x509) = X509Certificate::from_der(&der)
            .map_err(|error| format!("not an X.509 certificate: {}", printable(&error.to_string())))?;
        if !rest.is_empty() {
            return Err(format!("not an X.509 certificate: {} bytes follow it", rest.len()));
        }
        let names = match x509.subject_alternative_name() {
            Ok(Some(extension)) => extension.value.general_names.iter().map(name_text).collect(),
            Ok(None) => Vec::new(),
            Err(error) => return Err(format!("not an X.509 certificate: subject alternative names: {error}")),
        };
        let certificate = Certificate {
            subject: printable(&x509.subject().to_string()),
            issuer: printable(&x509.issuer().to_string()),
            names,
            not_before: x509.validity().not_before.to_datetime(),
            not_after: x509.validity().not_after.to_datetime(),
            is_ca: x509.is_ca(),
            subject_der: x509.subject().as_raw().to_vec(),
            issuer_der: x509.issuer().as_raw().to_vec(),
            der: CertificateDer::from(Vec::new()),
        };
        Ok(Certificate { der, ..certificate })
    }

    /// SHA-256 of the certificate, as `AB:CD:...`.
    pub fn fingerprint(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.der);
        let bytes: Vec<String> = digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        bytes.join(":")
    }

    /// Whether the issuer is byte for byte the subject of `ca`. Signatures are not looked at.
    pub fn names_as_issuer(&self, ca: &Certificate) -> bool {
        self.issuer_der == ca.subject_der
    }

    /// Whether it names itself as its issuer, as root certificates do.
    pub fn is_self_issued(&self) -> bool {
        self.names_as_issuer(self)
    }

    /// Whether a client that connects to `name`, a host name or an IP address, would take the certificate for the
    /// server's (RFC 6125: a wildcard stands for one whole label, the common name for nothing).
    ///
    /// `*.parent` is covered when any name of one more label would be.
    pub fn covers(&self, name: &str) -> bool {
        // No certificate has this name by itself.
        let concrete = match name.strip_prefix("*.") {
            Some(parent) => format!("any-label-by-a-wildcard.{parent}"),
            None => name.to_owned(),
        };
        let Ok(server_name) = ServerName::try_from(concrete) else { return false };
        ParsedCertificate::try_from(&self.der).is_ok_and(|parsed| verify_server_name(&parsed, &server_name).is_ok())
    }

    /// What is wrong with the time, as the end of a sentence: `has expired on ...`.
    pub fn out_of_date(&self, now: OffsetDateTime) -> Option<String> {
        if now > self.not_after {
            Some(format!("has expired on {}", time_text(self.not_after)))
        } else if now < self.not_before {
            Some(format!("is not valid before {}", time_text(self.not_before)))
        } else {
            None
        }
    }
}

/// `2026-05-01 12:30:00 UTC`
pub fn time_text(time: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    time.to_offset(time::UtcOffset::UTC).format(format).unwrap_or_else(|_| time.to_string())
}

/// Text from elsewhere, with nothing in it that a terminal would obey, and not endless.
pub fn printable(text: &str) -> String {
    let mut out = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == TEXT_CHARS_MAX {
            out.push_str("...");
            break;
        }
        match c {
            '\'' | '"' => out.push(c),
            _ => out.extend(c.escape_debug()),
        }
    }
    out
}

fn name_text(name: &GeneralName<'_>) -> String {
    let address = |bytes: &[u8]| -> Option<IpAddr> {
        let v4 = <[u8; 4]>::try_from(bytes).ok().map(|octets| Ipv4Addr::from(octets).into());
        v4.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(|octets| Ipv6Addr::from(octets).into()))
    };
    match name {
        GeneralName::DNSName(name) => printable(name),
        GeneralName::RFC822Name(name) => printable(&format!("email:{name}")),
        GeneralName::URI(uri) => printable(&format!("URI:{uri}")),
        GeneralName::IPAddress(bytes) => {
            address(bytes).map_or_else(|| printable(&name.to_string()), |ip| ip.to_string())
        }
        other => printable(&other.to_string()),
    }
}
