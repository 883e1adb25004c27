//! Who a client is, from its certificate.

mod rules;
mod subject;

use bifrost_core::fault::{Fault, shortened};
use bifrost_core::principal::Principal;
use serde::{Deserialize, Serialize};

pub use rules::MappingRules;

/// Longest name of a certificate, and longest principal, that is taken. Bytes.
const NAME_BYTES_MAX: usize = 4096;

/// How a client's certificate becomes its principal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClientPrincipal {
    /// What of the certificate is looked at.
    pub from: CertificateName,
    /// What becomes of it.
    pub mapping_rules: MappingRules,
}

/// A name that a certificate gives its owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CertificateName {
    /// The distinguished name, as RFC 2253 writes it: `CN=alice,OU=Orders,O=Example`. Other than with Kafka, attributes that
    /// the RFC has no short name for have theirs: `emailAddress=alice@example.com`.
    #[default]
    Subject,
    /// The first DNS name among the alternative names.
    DnsName,
    /// The first URI among the alternative names, such as a SPIFFE id.
    Uri,
}

/// What a client has shown in the TLS handshake. The host has checked it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificate<'a> {
    /// No certificate.
    None,
    /// A good one, with its [`CertificateName`] if it has that.
    Named(Option<&'a str>),
}

impl ClientPrincipal {
    /// The principal of a client.
    ///
    /// # Errors
    /// `Unidentified` when the certificate gives none: as with Kafka, nobody is let in under a name that was not meant.
    pub(crate) fn identify(&self, certificate: ClientCertificate<'_>) -> Result<Principal, Fault> {
        let name = match certificate {
            ClientCertificate::None => return Ok(Principal::default()),
            ClientCertificate::Named(name) => name.filter(|name| !name.is_empty()),
        };
        let short = name.filter(|name| name.len() <= NAME_BYTES_MAX).map(|name| match self.from {
            CertificateName::Subject => subject::readable(name),
            CertificateName::DnsName | CertificateName::Uri => name.into(),
        });
        let principal = short.and_then(|name| self.mapping_rules.apply(&name));
        match principal.filter(|principal| (1..=NAME_BYTES_MAX).contains(&principal.len())) {
            Some(principal) => Ok(Principal::new(&principal)),
            None => Err(Fault::Unidentified { name: name.map(|name| shortened(name.as_bytes())) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(rules: &str) -> ClientPrincipal {
        ClientPrincipal { mapping_rules: rules.to_owned().try_into().unwrap(), ..ClientPrincipal::default() }
    }

    #[test]
    fn without_a_certificate_a_client_is_anonymous_whatever_the_rules() {
        for rules in ["DEFAULT", "RULE:.*/admin/", ""] {
            let identified = principal(rules).identify(ClientCertificate::None).unwrap();
            assert!(identified.is_anonymous(), "{rules}");
        }
    }

    #[test]
    fn a_certificate_that_no_rule_fits_gives_nothing() {
        let fault = |name: &str| Err(Fault::Unidentified { name: Some(name.into()) });
        let rules = principal("RULE:^CN=([a-z]*),.*$/$1/");
        assert_eq!(rules.identify(ClientCertificate::Named(Some("CN=alice,O=x"))), Ok(Principal::new("alice")));
        assert_eq!(rules.identify(ClientCertificate::Named(Some("O=x"))), fault("O=x"));
        assert_eq!(rules.identify(ClientCertificate::Named(Some("CN=,O=x"))), fault("CN=,O=x"), "an empty principal");
        for none in [None, Some("")] {
            let refused = principal("DEFAULT").identify(ClientCertificate::Named(none));
            assert_eq!(refused, Err(Fault::Unidentified { name: None }));
        }
    }

    #[test]
    fn endless_names_are_refused() {
        let name = "x".repeat(NAME_BYTES_MAX);
        let rules = principal("DEFAULT");
        assert!(rules.identify(ClientCertificate::Named(Some(&name))).is_ok());
        assert!(rules.identify(ClientCertificate::Named(Some(&format!("{name}x")))).is_err());
        assert!(principal("RULE:(.*)/$1$1/").identify(ClientCertificate::Named(Some(&name))).is_err());
    }
}
