//! `bifrost certs generate`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use bifrost_config::certificates::{certificates, names};
use bifrost_config::load;
use rcgen::SanType;
use time::{Duration, OffsetDateTime};

use super::arguments::Generate;
use super::authority::{Authority, Issued, Purpose};
use super::describe::describe;
use super::files::{Files, exists};
use super::names::{COMMON_NAME_CHARS_MAX, host, is_too_wide};
use crate::documents::counted;
use crate::output::print;

pub(super) fn generate(arguments: &Generate) -> Result<ExitCode> {
    let Some(names) = server_names(arguments)? else { return Ok(ExitCode::FAILURE) };
    let mut seen = Vec::new();
    for client in &arguments.clients {
        // Some file systems know no case.
        let name = client.common_name.to_lowercase();
        if seen.contains(&name) {
            bail!("--client '{}' is given twice", client.common_name);
        }
        seen.push(name);
    }
    // Certificates know no fractions of a second.
    let now = OffsetDateTime::now_utc().truncate_to_second();
    let directory = &arguments.output;
    let mut files = Files::default();
    let mut text = String::new();
    let authority = authority(arguments, now, &mut files, &mut text)?;

    let mut add = |issued: Issued, what: &str, name: &str| {
        let (certificate, key) = (directory.join(format!("{name}.crt")), directory.join(format!("{name}.key")));
        let title = format!("\n{what}: {}, {}", certificate.display(), key.display());
        text.push_str(&describe(&title, &issued.certificate, now));
        files.key(key, issued.key_pem);
        files.certificate(certificate, issued.chain_pem);
    };
    if !names.is_empty() {
        let common_name = common_name(&names);
        add(authority.issue(Purpose::Server, &common_name, names, now, arguments.days)?, "Server", "server");
    }
    for client in &arguments.clients {
        let issued =
            authority.issue(Purpose::Client, &client.common_name, client.names.clone(), now, arguments.days)?;
        add(issued, "Client", &client.common_name);
    }
    files.write(directory, arguments.force)?;
    if now.saturating_add(Duration::days(arguments.days.into())) > authority.certificate.not_after {
        let days = counted(usize::try_from(arguments.days).unwrap_or(usize::MAX), "day");
        tracing::warn!("the CA expires in less than {days}, and the certificates with it");
    }
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Names of the documents and of the command line, none twice. `None`: the problems have been printed.
///
/// The documents need not be valid otherwise: the files that they name may be the ones to be made.
fn server_names(arguments: &Generate) -> Result<Option<Vec<SanType>>> {
    let loaded = load(&arguments.files);
    if !loaded.problems.is_empty() {
        for problem in &loaded.problems {
            eprintln!("{problem}");
        }
        eprintln!("error: {} in the documents", counted(loaded.problems.len(), "problem"));
        return Ok(None);
    }
    if loaded.documents.is_empty() && !arguments.files.is_empty() {
        bail!("no KafkaVirtualCluster document found");
    }
    let mut all: Vec<SanType> = Vec::new();
    for document in &loaded.documents {
        let resource = &document.resource;
        for name in names(resource) {
            let name = host(&name)
                .map_err(|reason| anyhow::anyhow!("virtual cluster '{}': {reason}", resource.metadata.name))?;
            all.push(name);
        }
    }
    all.extend(arguments.names.iter().cloned());
    let mut unique = Vec::new();
    for name in all {
        if is_too_wide(&name) {
            tracing::warn!(
                "clients with OpenSSL, librdkafka among them, match a wildcard below a top-level domain with no name"
            );
        }
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    Ok(Some(unique))
}

/// The first name that fits into a common name. Nobody but people reads it.
fn common_name(names: &[SanType]) -> String {
    let mut texts = names.iter().filter_map(|name| match name {
        SanType::DnsName(name) => Some(name.as_str().to_owned()),
        SanType::IpAddress(ip) => Some(ip.to_string()),
        _ => None,
    });
    texts.find(|name| name.len() <= COMMON_NAME_CHARS_MAX).unwrap_or_else(|| "bifrost".to_owned())
}

/// The CA to sign with: the given one, the one in the output directory, or a new one.
fn authority(arguments: &Generate, now: OffsetDateTime, files: &mut Files, text: &mut String) -> Result<Authority> {
    let directory = &arguments.output;
    let (certificate, key): (PathBuf, PathBuf) = (directory.join("ca.crt"), directory.join("ca.key"));
    if let (Some(given), Some(given_key)) = (&arguments.ca_cert, &arguments.ca_key) {
        let authority = Authority::load(given, given_key, now)?;
        text.push_str(&describe(&format!("CA, as it was: {}", given.display()), &authority.certificate, now));
        if !is_of(&certificate, &authority) {
            if exists(&key) {
                bail!("{} is the key of another CA; choose another --output directory", key.display());
            }
            // Clients find here what to trust.
            files.certificate(certificate, authority.pem.clone());
        }
        return Ok(authority);
    }
    match (exists(&certificate), exists(&key)) {
        (true, true) => {
            let authority = Authority::load(&certificate, &key, now).context(
                "the CA of the output directory cannot be used; choose another --output, or remove it for a new one",
            )?;
            text.push_str(&describe(&format!("CA, as it was: {}", certificate.display()), &authority.certificate, now));
            Ok(authority)
        }
        (false, false) => {
            let authority = Authority::new(now, arguments.days)?;
            let title = format!("CA: {}, {}", certificate.display(), key.display());
            text.push_str(&describe(&title, &authority.certificate, now));
            files.key(key, authority.key_pem());
            files.certificate(certificate, authority.pem.clone());
            Ok(authority)
        }
        (true, false) => bail!(
            "{} is there without {}; name the key with --ca-cert and --ca-key, or choose another --output directory",
            certificate.display(),
            key.display()
        ),
        (false, true) => bail!(
            "{} is there without {}; put the certificate back, or choose another --output directory",
            key.display(),
            certificate.display()
        ),
    }
}

/// Whether the file is the certificate of this CA.
fn is_of(file: &Path, authority: &Authority) -> bool {
    certificates(file).is_ok_and(|chain| chain.first() == Some(&authority.certificate))
}
