//! A CA, made here or found, and what it signs.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use bifrost_config::certificates::{Certificate, certificates, check_pair, private_key};
use pem::{EncodeConfig, LineEnding, Pem, encode_config};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use time::{Duration, OffsetDateTime};

/// Validity of a new CA, if what it signs is not to last longer.
const CA_DAYS: u32 = 3650;
/// Validity starts in the past for machines whose clocks are behind.
const CLOCKS_BEHIND: Duration = Duration::HOUR;

pub(super) struct Authority {
    pub(super) certificate: Certificate,
    /// The CA's certificate and those above it, as PEM.
    pub(super) pem: String,
    /// What goes behind a certificate for those who trust only a root.
    intermediates: String,
    issuer: Issuer<'static, KeyPair>,
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Server,
    Client,
}

/// A certificate and its key.
pub(super) struct Issued {
    pub(super) certificate: Certificate,
    /// The certificate and the intermediates above it.
    pub(super) chain_pem: String,
    pub(super) key_pem: String,
}

impl Authority {
    /// A new one with a name of its own, so that a client that trusts several does not mix them up.
    pub(super) fn new(now: OffsetDateTime, days: u32) -> Result<Authority> {
        let key = KeyPair::generate()?;
        let mark: String = CertificateParams::default()
            .key_identifier(&key)
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let mut params = params(&format!("Bifrost CA {mark}"), now, days.max(CA_DAYS))?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let made = params.self_signed(&key)?;
        Ok(Authority {
            certificate: parsed(made.der())?,
            pem: made.pem(),
            intermediates: String::new(),
            issuer: Issuer::new(params, key),
        })
    }

    /// One that exists. The first certificate of the file is the CA's, others are those above it.
    pub(super) fn load(certificate: &Path, key: &Path, now: OffsetDateTime) -> Result<Authority> {
        if let Some(problem) = check_pair(certificate, key, &[], now).first() {
            bail!("{problem}");
        }
        let chain = certificates(certificate)?;
        let ca = chain.first().context("a file without certificates")?;
        let file = certificate.display();
        if !ca.is_ca {
            bail!("{file}: {} is not a CA and cannot sign certificates", ca.subject);
        }
        let PrivateKeyDer::Pkcs8(key_der) = private_key(key)? else {
            bail!(
                "{}: the private key is not PKCS #8 (a 'BEGIN PRIVATE KEY' line); convert it with 'openssl pkcs8 -topk8 \
                 -nocrypt -in {0}'",
                key.display()
            );
        };
        let key = KeyPair::try_from(&key_der).with_context(|| format!("{}: cannot be used to sign", key.display()))?;
        let issuer =
            Issuer::from_ca_cert_der(&ca.der, key).with_context(|| format!("{file}: cannot be used to sign"))?;
        if !issuer.key_usages().is_empty() && !issuer.key_usages().contains(&KeyUsagePurpose::KeyCertSign) {
            bail!("{file}: {} is not allowed to sign certificates (key usage)", ca.subject);
        }
        Ok(Authority {
            certificate: ca.clone(),
            pem: pem(chain.iter()),
            intermediates: pem(chain.iter().filter(|certificate| !certificate.is_self_issued())),
            issuer,
        })
    }

    /// Signs a certificate with a key of its own. It does not outlive the CA.
    pub(super) fn issue(
        &self,
        purpose: Purpose,
        common_name: &str,
        names: Vec<SanType>,
        now: OffsetDateTime,
        days: u32,
    ) -> Result<Issued> {
        let key = KeyPair::generate()?;
        let mut params = params(common_name, now, days)?;
        params.not_after = params.not_after.min(self.certificate.not_after);
        params.subject_alt_names = names;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match purpose {
            Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Purpose::Client => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        params.use_authority_key_identifier_extension = true;
        let signed = params.signed_by(&key, &self.issuer)?;
        let certificate = parsed(signed.der())?;
        // Names of other CAs come in encodings that cannot all be written again.
        if !certificate.names_as_issuer(&self.certificate) {
            bail!(
                "the name of the CA, {}, cannot be repeated in a certificate; use another CA",
                self.certificate.subject
            );
        }
        Ok(Issued { certificate, chain_pem: signed.pem() + &self.intermediates, key_pem: key.serialize_pem() })
    }

    /// The CA's own key, as PEM.
    pub(super) fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }
}

fn params(common_name: &str, now: OffsetDateTime, days: u32) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = now.saturating_sub(CLOCKS_BEHIND);
    params.not_after = now.saturating_add(Duration::days(days.into()));
    Ok(params)
}

fn parsed(der: &CertificateDer<'static>) -> Result<Certificate> {
    Certificate::parse(der.clone()).map_err(|reason| anyhow::anyhow!("the certificate that was made is {reason}"))
}

/// The certificates one after the other.
pub(super) fn pem<'a>(certificates: impl Iterator<Item = &'a Certificate>) -> String {
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    certificates.map(|certificate| encode_config(&Pem::new("CERTIFICATE", certificate.der.as_ref()), config)).collect()
}
