//! The CAs that the operating system trusts.

use anyhow::{Context as _, Result};
use bifrost_config::{Gateway, Roots, Verification};

/// Path of the system's CA file; empty when no target cluster needs it.
pub(crate) fn needed(gateway: &Gateway) -> Result<String> {
    let is_needed = gateway.virtual_clusters.iter().any(|virtual_cluster| {
        let verification = virtual_cluster.upstream_tls.as_ref().map(|tls| &tls.verification);
        verification.and_then(Verification::roots) == Some(&Roots::System)
    });
    if !is_needed {
        return Ok(String::new());
    }
    let file = openssl_probe::probe().cert_file.context(
        "no file with the CAs of this system was found; install them (Debian: apt install ca-certificates), name the file in \
         SSL_CERT_FILE, or set spec.targetCluster.tls.caFile",
    )?;
    let file = std::path::absolute(file)?;
    file.to_str().map(str::to_owned).context("the path of the system's CAs is not UTF-8")
}
