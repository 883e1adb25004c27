//! `bifrost certs fetch`.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use bifrost_config::certificates::{Certificate, printable};
use rustls::pki_types::ServerName;
use time::OffsetDateTime;

use super::arguments::Fetch;
use super::authority::pem;
use super::describe::{describe, names};
use super::handshake::{Shown, shake_hands};
use super::verdict::Trusted;
use crate::documents::counted;
use crate::output::{print, replace};

/// More than any server needs between its certificate and a root.
const CHAIN_MAX: usize = 20;

pub(super) fn fetch(arguments: &Fetch) -> Result<ExitCode> {
    let server = &arguments.server;
    let name = arguments.server_name.as_ref().unwrap_or(&server.host);
    let server_name = ServerName::try_from(name.clone()).map_err(|_| {
        anyhow!("'{}' is not a DNS name or an IP address; give one with --server-name", printable(name))
    })?;
    // Asked first: an error here needs no server.
    let trusted = match &arguments.ca {
        Some(file) => Trusted::of_file(file)?,
        None => Trusted::of_system(),
    };
    let mut shown = shake_hands(server, server_name, Duration::from_secs(arguments.timeout))?;
    if shown.chain.len() > CHAIN_MAX {
        bail!("{server} sent {} certificates; more than {CHAIN_MAX} are no chain", shown.chain.len());
    }
    let mut chain = Vec::new();
    for (number, der) in (1..).zip(std::mem::take(&mut shown.chain)) {
        let certificate =
            Certificate::parse(der).map_err(|reason| anyhow!("certificate {number} that {server} sent is {reason}"))?;
        chain.push(certificate);
    }
    if let Some(file) = &arguments.output {
        replace(file, &pem(chain.iter())).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    let now = OffsetDateTime::now_utc();
    let (verdict, good) = verdict(&trusted, &chain, name, &shown, now);
    let mut text = heading(arguments, &chain, &shown);
    for (number, certificate) in (1..).zip(&chain) {
        text.push_str(&describe(&format!("\nCertificate {number}"), certificate, now));
    }
    text.push_str(&verdict);
    print(&text)?;
    Ok(if good || arguments.ca.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn heading(arguments: &Fetch, chain: &[Certificate], shown: &Shown) -> String {
    let mut text = format!("{}: ", arguments.server);
    if let Some(version) =
        shown.version.and_then(|version| version.as_str().map(|name| name.replace("TLSv1_", "TLS 1.")))
    {
        text.push_str(&format!("{version}, "));
    }
    text.push_str(&counted(chain.len(), "certificate"));
    if let Some(file) = &arguments.output {
        text.push_str(&format!(", saved to {}", file.display()));
    }
    text.push('\n');
    text
}

/// Lines about trust, and whether a client would go on.
fn verdict(trusted: &Trusted, chain: &[Certificate], name: &str, shown: &Shown, now: OffsetDateTime) -> (String, bool) {
    let verified = trusted.verify(chain, now);
    let leaf = chain.first();
    let named = leaf.is_some_and(|leaf| leaf.covers(name));
    let proven = matches!(shown.proof, Some(Ok(())));
    let mut text = String::from("\n");
    // Writing to a string cannot fail.
    let _ = match &verified {
        Ok(()) => writeln!(text, "Chain: TRUSTED by {}", trusted.of),
        Err(reason) => writeln!(text, "Chain: NOT TRUSTED by {}: {reason}", trusted.of),
    };
    let _ = match leaf {
        _ if named => writeln!(text, "Name:  '{name}' MATCHES"),
        Some(leaf) if !leaf.names.is_empty() => {
            writeln!(text, "Name:  '{name}' DOES NOT MATCH; the certificate is for {}", names(&leaf.names))
        }
        _ => writeln!(text, "Name:  '{name}' DOES NOT MATCH; the certificate has no subject alternative names"),
    };
    let _ = match &shown.proof {
        Some(Ok(())) => writeln!(text, "Key:   the server has the private key"),
        Some(Err(error)) => {
            writeln!(text, "Key:   NOT PROVEN that the server has it: {}", printable(&error.to_string()))
        }
        None => writeln!(text, "Key:   NOT PROVEN that the server has it"),
    };
    if shown.asks_client {
        let _ = writeln!(text, "       The server asks for a client certificate.");
    }
    if let Some(ended) = &shown.ended {
        let _ = writeln!(text, "       After its certificates the server {ended}.");
    }
    (text, verified.is_ok() && named && proven)
}
