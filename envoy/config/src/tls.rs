//! `tls` of listener and target cluster: what is asked for, judged without opening a certificate.

use std::path::{Path, PathBuf};

use bifrost_chain::ClientPrincipal;

use crate::certificates;
use crate::document;
use crate::document::ClientAuthentication;
use crate::load::Document;
use crate::problem::Problem;

/// Files of a folder as Kubernetes mounts a TLS secret.
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const CA: &str = "ca.crt";

/// A PEM file that a document names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PemFile {
    /// Absolute, or relative to the working directory.
    pub path: PathBuf,
    at: Problem,
}

impl PemFile {
    /// A problem with this file, at the field that names it.
    #[must_use]
    pub fn problem(&self, message: String) -> Problem {
        Problem { message, ..self.at.clone() }
    }
}

/// A certificate, with the chain to its CA, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// The certificate first, then the chain.
    pub certificate: PemFile,
    /// The private key.
    pub key: PemFile,
}

/// TLS to the clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownstreamTls {
    /// What the gateway shows.
    pub key_pair: KeyPair,
    /// What clients connect to, as the certificate must have it; see [`certificates::names`].
    pub names: Vec<String>,
    /// What clients show.
    pub clients: ClientCertificates,
    /// Who they are then; `None` when they are not asked.
    pub client_principal: Option<ClientPrincipal>,
}

/// What clients have to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Nothing; they are not asked.
    NotAsked,
    /// Nothing, or a certificate of these CAs.
    Requested(PemFile),
    /// A certificate of these CAs.
    Required(PemFile),
}

/// TLS to the brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamTls {
    /// What the gateway shows to brokers that ask.
    pub key_pair: Option<KeyPair>,
    /// What brokers have to show.
    pub verification: Verification,
}

/// What brokers have to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Any certificate.
    Nothing,
    /// A certificate of these CAs, for any name.
    Chain(Roots),
    /// A certificate of these CAs for the host that was connected to.
    ChainAndName(Roots),
}

/// Where trust comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// The CAs that the operating system trusts.
    System,
    /// These CAs.
    File(PemFile),
}

impl Verification {
    /// The CAs, if any are asked.
    #[must_use]
    pub fn roots(&self) -> Option<&Roots> {
        match self {
            Verification::Nothing => None,
            Verification::Chain(roots) | Verification::ChainAndName(roots) => Some(roots),
        }
    }
}

/// Reads `spec.listener.tls`; `None` when it cannot be made sense of, which has been reported then.
pub(crate) fn listener(
    document: &Document,
    tls: &document::ListenerTls,
    problems: &mut Vec<Problem>,
) -> Option<DownstreamTls> {
    let mut files = Files { document, base: "spec.listener.tls".to_owned(), problems };
    let given = Given { certificate: &tls.certificate_file, key: &tls.key_file, directory: &tls.directory };
    let key_pair = files.key_pair(&given);
    if key_pair.is_none() && given.is_nothing() {
        files.report("", "a certificate is needed; set certificateFile and keyFile, or directory");
    }
    let ca = match (&tls.client_ca_file, &tls.directory) {
        (Some(path), _) => files.file("clientCaFile", path),
        (None, Some(directory)) => files.file("directory", &directory.join(CA)),
        (None, None) => None,
    };
    let clients = match (tls.client_authentication, ca) {
        (ClientAuthentication::None, _) => {
            if tls.client_ca_file.is_some() {
                files.report("clientCaFile", "is for clients' certificates, and clients are not asked for one; set clientAuthentication to required or requested, or remove this");
            }
            if tls.client_principal.is_some() {
                files.report("clientPrincipal", "is about clients' certificates, and clients are not asked for one; set clientAuthentication to required or requested, or remove this");
            }
            ClientCertificates::NotAsked
        }
        (ClientAuthentication::Requested, Some(ca)) => ClientCertificates::Requested(ca),
        (ClientAuthentication::Required, Some(ca)) => ClientCertificates::Required(ca),
        (ClientAuthentication::Requested | ClientAuthentication::Required, None) => {
            if tls.client_ca_file.is_none() {
                files.report("clientAuthentication", "needs the CAs of clients' certificates; set clientCaFile");
            }
            return None;
        }
    };
    let asked = clients != ClientCertificates::NotAsked;
    let client_principal = asked.then(|| tls.client_principal.clone().unwrap_or_default());
    let names = certificates::names(&document.resource);
    Some(DownstreamTls { key_pair: key_pair?, names, clients, client_principal })
}

/// Reads the `tls` of a target cluster that the document has at `base`, and says what makes it weak.
pub(crate) fn upstream<R>(
    document: &Document<R>,
    base: &str,
    tls: &document::TargetTls,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) -> Option<UpstreamTls> {
    let mut files = Files { document, base: format!("{base}.tls"), problems };
    let given = Given { certificate: &tls.certificate_file, key: &tls.key_file, directory: &tls.directory };
    let key_pair = files.key_pair(&given);
    if key_pair.is_none() && !given.is_nothing() {
        return None;
    }
    let warn = |field: &str, message: &str| document.problem(&format!("{base}.tls.{field}"), message.to_owned());
    if tls.insecure_skip_verify {
        for (field, is_set) in
            [("caFile", tls.ca_file.is_some()), ("verifyServerName", tls.verify_server_name.is_some())]
        {
            if is_set {
                files.report(field, "means nothing beside insecureSkipVerify; remove one of them");
            }
        }
        warnings.push(warn(
            "insecureSkipVerify",
            "brokers' certificates are NOT checked: whoever is between the gateway and the brokers can read and change everything; set caFile instead",
        ));
        return Some(UpstreamTls { key_pair, verification: Verification::Nothing });
    }
    let roots = match (&tls.ca_file, &tls.directory) {
        (Some(path), _) => Roots::File(files.file("caFile", path)?),
        (None, Some(directory)) => Roots::File(files.file("directory", &directory.join(CA))?),
        (None, None) => Roots::System,
    };
    let verification = if tls.verify_server_name.unwrap_or(true) {
        Verification::ChainAndName(roots)
    } else {
        warnings.push(warn(
            "verifyServerName",
            "the names in brokers' certificates are NOT checked: any server with a certificate of the same CAs can take a broker's place",
        ));
        Verification::Chain(roots)
    };
    Some(UpstreamTls { key_pair, verification })
}

/// The fields that can give a key pair.
struct Given<'a> {
    certificate: &'a Option<PathBuf>,
    key: &'a Option<PathBuf>,
    directory: &'a Option<PathBuf>,
}

impl Given<'_> {
    fn is_nothing(&self) -> bool {
        self.certificate.is_none() && self.key.is_none() && self.directory.is_none()
    }
}

/// Turns the paths of a document into files.
struct Files<'a, R> {
    document: &'a Document<R>,
    base: String,
    problems: &'a mut Vec<Problem>,
}

impl<R> Files<'_, R> {
    fn report(&mut self, field: &str, message: &str) {
        let problem = self.document.problem(&self.path_of(field), message.to_owned());
        self.problems.push(problem);
    }

    fn path_of(&self, field: &str) -> String {
        if field.is_empty() { self.base.clone() } else { format!("{}.{field}", self.base) }
    }

    fn file(&mut self, field: &str, path: &Path) -> Option<PemFile> {
        if path.as_os_str().is_empty() {
            self.report(field, "is empty; write the path of a PEM file");
            return None;
        }
        let at = self.document.problem(&self.path_of(field), String::new());
        Some(PemFile { path: self.document.folder().join(path), at })
    }

    fn key_pair(&mut self, given: &Given<'_>) -> Option<KeyPair> {
        let (certificate, key) = match (given.certificate, given.key, given.directory) {
            (Some(certificate), Some(key), None) => {
                (self.file("certificateFile", certificate), self.file("keyFile", key))
            }
            (None, None, Some(directory)) => {
                (self.file("directory", &directory.join(CERTIFICATE)), self.file("directory", &directory.join(KEY)))
            }
            (None, None, None) => return None,
            (Some(_), None, None) => {
                self.report("certificateFile", "needs keyFile");
                return None;
            }
            (None, Some(_), None) => {
                self.report("keyFile", "needs certificateFile");
                return None;
            }
            (_, _, Some(_)) => {
                self.report("directory", "stands in place of certificateFile and keyFile; remove one or the other");
                return None;
            }
        };
        Some(KeyPair { certificate: certificate?, key: key? })
    }
}
