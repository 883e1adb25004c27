//! Writes the core's protocol tables from the message definitions inside the `kafka-clients` jar.
//!
//! The definitions say how a message is laid out. `corrections.json` adds what they lack: versions that newer
//! jars have dropped, and what a field means to a gateway. Run it from the repository's root.

mod compare;
mod corrections;
mod definition;
mod jar;
mod render;
mod table;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Parser;

use crate::corrections::Corrections;
use crate::jar::Jar;
use crate::table::Tables;

/// Writes the core's protocol tables from Kafka's message definitions.
#[derive(Parser)]
struct Arguments {
    /// The kafka-clients jar.
    #[arg(long)]
    jar: PathBuf,
    /// What Kafka's definitions lack.
    #[arg(long, default_value = "filters/core/protocol/corrections.json")]
    corrections: PathBuf,
    /// The generated file.
    #[arg(long, default_value = "filters/core/src/protocol/tables.rs")]
    out: PathBuf,
    /// Write nothing; fail when the file differs from what would be written.
    #[arg(long)]
    check: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let jar = Jar::open(&arguments.jar)?;
    let text = fs::read_to_string(&arguments.corrections)
        .with_context(|| format!("reading {}", arguments.corrections.display()))?;
    let corrections = Corrections::parse(&text).with_context(|| arguments.corrections.display().to_string())?;
    let tables = Tables::build(&jar.definitions, &corrections)?;
    let generated = render::tables(&tables, &jar.kafka_version);

    if arguments.check {
        let committed =
            fs::read_to_string(&arguments.out).with_context(|| format!("reading {}", arguments.out.display()))?;
        let differences = compare::differences(&committed, &generated);
        if !differences.is_empty() {
            bail!(
                "{} does not match Kafka {} and the corrections; regenerate it (`make protocol`):\n{}",
                arguments.out.display(),
                jar.kafka_version,
                differences.join("\n")
            );
        }
        return Ok(());
    }
    fs::write(&arguments.out, generated).with_context(|| format!("writing {}", arguments.out.display()))?;
    println!("{}: {}", arguments.out.display(), tables.summary());
    Ok(())
}
