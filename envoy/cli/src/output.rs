//! `bifrost validate` and `bifrost render`.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use bifrost_config::RenderOptions;
use tempfile::NamedTempFile;

use crate::arguments::{Render, Validate};
use crate::documents::{counted, describe, gateway};
use crate::envoy;

pub(crate) fn validate(arguments: &Validate) -> Result<ExitCode> {
    let Some(gateway) = gateway(&arguments.documents) else { return Ok(ExitCode::FAILURE) };
    let clusters = &gateway.virtual_clusters;
    let mut text = format!("Valid: {}.\n\n", counted(clusters.len(), "virtual cluster"));
    text.extend(clusters.iter().map(describe));
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn render(arguments: &Render) -> Result<ExitCode> {
    let Some(gateway) = gateway(&arguments.documents) else { return Ok(ExitCode::FAILURE) };
    let module = envoy::module_for_render(&arguments.module)?;
    let options = RenderOptions { module, admin: arguments.documents.admin(), ..RenderOptions::default() };
    let json = bifrost_config::render(&gateway, &options)?;
    match &arguments.output {
        Some(file) => replace(file, &json).with_context(|| format!("{} cannot be written", file.display()))?,
        None => print(&json)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A reader that has gone away (`bifrost render | head`) is no error.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("standard output cannot be written"),
    }
}

/// Writes beside the file and renames, so that whoever watches it never reads half of it.
pub(crate) fn replace(file: &Path, text: &str) -> io::Result<()> {
    // The umask decides, as for any other file.
    stage(file, text, 0o666)?.persist(file)?;
    Ok(())
}

/// A file beside `file`, complete and on disk, to be renamed to it. It goes away with the value.
pub(crate) fn stage(file: &Path, text: &str, mode: u32) -> io::Result<NamedTempFile> {
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut temporary = tempfile::Builder::new()
        .prefix(".bifrost-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(directory)?;
    temporary.write_all(text.as_bytes())?;
    temporary.as_file().sync_all()?;
    Ok(temporary)
}
