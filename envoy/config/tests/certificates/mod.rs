//! Real certificates where rendered secrets say that they are.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failed expectation is a failed test, in helpers too"
)]

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use serde_json::Value;

use crate::common::write;

/// Writes the PEM files that the secrets in `text` name, below `folder`.
pub(crate) fn write_named_in(folder: &Path, text: &str) {
    let rendered: Value = serde_json::from_str(text).unwrap();
    for secret in rendered["resources"].as_array().unwrap() {
        let filename = |pointer: &str| secret.pointer(pointer).and_then(Value::as_str);
        if let Some(certificate) = filename("/tls_certificate/certificate_chain/filename") {
            let (pem, key) = self_signed(IsCa::NoCa);
            write(folder, certificate, &pem);
            write(folder, filename("/tls_certificate/private_key/filename").unwrap(), &key);
        }
        if let Some(ca) = filename("/validation_context/trusted_ca/filename") {
            write(folder, ca, &self_signed(IsCa::Ca(BasicConstraints::Unconstrained)).0);
        }
    }
}

fn self_signed(is_ca: IsCa) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["gateway.corp.net".to_owned()]).unwrap();
    params.is_ca = is_ca;
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}
