//! Certificates for the eyes of a person.

use std::fmt::Write as _;

use bifrost_config::certificates::{Certificate, time_text};
use time::OffsetDateTime;

use crate::documents::counted;

/// Names of one certificate that are shown; the rest is counted.
const NAMES_SHOWN: usize = 20;

/// A block of indented lines below `title`.
pub(super) fn describe(title: &str, certificate: &Certificate, now: OffsetDateTime) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{title}");
    let _ = writeln!(text, "  subject  {}", certificate.subject);
    if certificate.is_self_issued() {
        let _ = writeln!(text, "  issuer   itself");
    } else {
        let _ = writeln!(text, "  issuer   {}", certificate.issuer);
    }
    if !certificate.names.is_empty() {
        let _ = writeln!(text, "  names    {}", names(&certificate.names));
    }
    let _ = writeln!(text, "  valid    from {}", time_text(certificate.not_before));
    let _ = writeln!(text, "           to   {}, {}", time_text(certificate.not_after), left(certificate, now));
    let _ = writeln!(text, "  sha256   {}", certificate.fingerprint());
    text
}

/// How long the certificate is still good.
fn left(certificate: &Certificate, now: OffsetDateTime) -> String {
    let days = |from: OffsetDateTime, to: OffsetDateTime| {
        let days = to.unix_timestamp().saturating_sub(from.unix_timestamp()).max(0) / 86_400;
        counted(usize::try_from(days).unwrap_or(usize::MAX), "day")
    };
    if now > certificate.not_after {
        format!("EXPIRED {} ago", days(certificate.not_after, now))
    } else if now < certificate.not_before {
        format!("NOT YET VALID for {}", days(now, certificate.not_before))
    } else {
        format!("{} left", days(now, certificate.not_after))
    }
}

/// The names in a line.
pub(super) fn names(names: &[String]) -> String {
    let shown = names.iter().take(NAMES_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES_SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
