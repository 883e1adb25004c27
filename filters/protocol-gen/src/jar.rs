//! The message definitions inside a `kafka-clients` jar.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use zip::ZipArchive;

/// Where the definitions are inside the jar.
const DEFINITIONS: &str = "common/message/";
/// Tells the jar's Kafka version.
const VERSION: &str = "kafka/kafka-version.properties";

/// What the generator needs of the jar.
pub struct Jar {
    /// Kafka's version, for instance `4.4.0`.
    pub kafka_version: String,
    /// Text of every definition by its file name, comments included.
    pub definitions: BTreeMap<String, String>,
}

impl Jar {
    /// Reads the jar at `path`.
    pub fn open(path: &Path) -> Result<Jar> {
        let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
        let mut zip = ZipArchive::new(file).with_context(|| format!("{} is not a jar", path.display()))?;

        let properties = read(&mut zip, VERSION)?;
        let kafka_version = properties
            .lines()
            .find_map(|line| line.strip_prefix("version="))
            .with_context(|| format!("{VERSION}: no version"))?
            .trim()
            .to_owned();

        let files = zip
            .file_names()
            .map(|name| Ok(name?.into_owned()))
            .collect::<Result<Vec<String>>>()
            .context("listing the jar")?;
        let definitions = files
            .iter()
            .filter(|file| file.starts_with(DEFINITIONS) && file.ends_with(".json"))
            .map(|file| Ok((file.trim_start_matches(DEFINITIONS).to_owned(), read(&mut zip, file)?)))
            .collect::<Result<_>>()?;
        Ok(Jar { kafka_version, definitions })
    }
}

fn read(zip: &mut ZipArchive<File>, name: &str) -> Result<String> {
    let mut text = String::new();
    let mut file = zip.by_name(name).with_context(|| format!("{name} is not in the jar"))?;
    file.read_to_string(&mut text).with_context(|| format!("reading {name}"))?;
    Ok(text)
}
