//! `bifrost validate` and `bifrost render`.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use bifrost_config::{RenderOptions, Rendered};
use tempfile::NamedTempFile;

use crate::arguments::{Render, Validate};
use crate::description::Description;
use crate::documents::{PemFiles, counted, gateway};
use crate::envoy;
use crate::system_ca;

/// Where the rendered files about secrets are, below the folder of the bootstrap.
const SECRETS: &str = "secrets";

pub(crate) fn validate(arguments: &Validate) -> Result<ExitCode> {
    let Some(gateway) = gateway(&arguments.documents, PemFiles::Here) else { return Ok(ExitCode::FAILURE) };
    let clusters = &gateway.virtual_clusters;
    let mut text = format!("Valid: {}.\n\n", counted(clusters.len(), "virtual cluster"));
    text.extend(clusters.iter().map(|virtual_cluster| Description::of(virtual_cluster).to_string()));
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn render(arguments: &Render) -> Result<ExitCode> {
    let Some(gateway) = gateway(&arguments.documents, PemFiles::Elsewhere) else { return Ok(ExitCode::FAILURE) };
    let module = envoy::module_for_render(&arguments.module)?;
    let folder = match &arguments.output {
        Some(file) => std::path::absolute(folder_of(file))?,
        None => std::env::current_dir()?,
    };
    let folder = folder.to_str().context("the path of the output is not UTF-8")?.to_owned();
    let admin = arguments.documents.admin();
    let system_ca = system_ca::needed(&gateway)?;
    let options = RenderOptions { module, admin, folder, system_ca, ..RenderOptions::default() };
    let Rendered { bootstrap, files } = bifrost_config::render(&gateway, &options)?;
    let Some(file) = &arguments.output else {
        if !files.is_empty() {
            tracing::warn!(
                "the configuration names files in '{SECRETS}', which are written only beside a file (-o FILE)"
            );
        }
        print(&bootstrap)?;
        return Ok(ExitCode::SUCCESS);
    };
    // The bootstrap last: whoever watches it finds the rest.
    let files = files.into_iter().map(|(name, text)| (folder_of(file).join(name), text));
    for (file, text) in files.chain([(file.clone(), bootstrap)]) {
        replace(&file, &text).with_context(|| format!("{} cannot be written", file.display()))?;
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

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
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
    let directory = folder_of(file);
    std::fs::create_dir_all(directory)?;
    let mut temporary = tempfile::Builder::new()
        .prefix(".bifrost-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(directory)?;
    temporary.write_all(text.as_bytes())?;
    temporary.as_file().sync_all()?;
    Ok(temporary)
}
