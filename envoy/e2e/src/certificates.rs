//! Certificates for tests: authorities, and what they issue, as PEM files.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// A CA. Its certificate is in no file of its own: whoever holds something that it issued has it beside that.
#[derive(Debug)]
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// The files of one certificate, named as Kubernetes names them.
#[derive(Clone, Debug)]
pub struct Issued {
    folder: PathBuf,
}

impl Authority {
    pub fn new(common_name: &str) -> Result<Authority> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Authority { issuer: Issuer::new(params, key), pem })
    }

    /// The CA's certificate.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Writes a certificate for these host names and IP addresses, its key and the CA into `folder`, by rename, so that the
    /// files there before can be in use.
    pub fn issue(&self, folder: &Path, common_name: &str, names: &[&str]) -> Result<Issued> {
        let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?;
        params.distinguished_name.push(DnType::CommonName, common_name);
        self.issue_with(folder, params)
    }

    /// The same for whatever `params` say.
    pub fn issue_with(&self, folder: &Path, params: CertificateParams) -> Result<Issued> {
        std::fs::create_dir_all(folder)?;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        let key = key.serialize_pem();
        let store = format!("{key}{certificate}{}", self.pem);
        for (name, text) in [("tls.crt", &certificate), ("tls.key", &key), ("ca.crt", &self.pem), ("store.pem", &store)]
        {
            let temporary = folder.join(format!(".{name}"));
            std::fs::write(&temporary, text)?;
            std::fs::rename(temporary, folder.join(name))?;
        }
        Ok(Issued { folder: folder.to_owned() })
    }
}

impl Issued {
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn certificate(&self) -> PathBuf {
        self.folder.join("tls.crt")
    }

    pub fn key(&self) -> PathBuf {
        self.folder.join("tls.key")
    }

    /// The CA that issued it.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// Key and chain in one file, as Kafka wants them.
    pub fn store(&self) -> PathBuf {
        self.folder.join("store.pem")
    }
}
