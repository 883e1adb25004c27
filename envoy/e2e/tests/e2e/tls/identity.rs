//! Who clients are, and which cluster the brokers are.

use std::time::Duration;

use bifrost_e2e::certificates::Issued;
use bifrost_e2e::kafka::CLUSTER_ID;
use bifrost_e2e::wait;
use bifrost_e2e::wire;
use kafka_protocol::messages::MetadataRequest;
use rcgen::{CertificateParams, DnType, SanType};

use super::client::TlsClient;
use super::{BY_DNS_NAME, BY_SUBJECT, BY_URI, ELSEWHERE, IDENTIFIED, NOBODY, OTHER_CLUSTER_ID, Setting, setting};
use crate::fixture::{beside_others, unique};

#[test]
fn clients_reach_the_cluster_that_was_meant() {
    let _turn = beside_others();
    let setting = setting();
    setting.every_client_reads_what_it_wrote(&setting.gateway.bootstrap(IDENTIFIED), true);
    assert!(setting.counted("bifrost.identified.own_requests") >= 4, "every connection asks");
    assert_eq!(setting.counted("bifrost.identified.closed.wrong_cluster"), 0);
    assert_eq!(setting.counted("bifrost.identified.closed.unidentified"), 0);
}

#[test]
fn another_cluster_gets_nothing_and_the_log_tells_whom_it_was_kept_from() {
    let _turn = beside_others();
    let setting = setting();

    setting.refusal(&setting.gateway.bootstrap(ELSEWHERE), true);

    assert!(setting.counted("bifrost.elsewhere.closed.wrong_cluster") > 0);
    let log = setting.gateway.log().unwrap();
    // The gateway is refused, too, when it asks for the nodes.
    let of_client = |line: &&str| line.contains("elsewhere: ") && line.contains("(USER-CLIENT)");
    let told = log.lines().find(of_client).unwrap_or_default();
    let ids = format!("is Kafka cluster '{CLUSTER_ID}', but clusterId of the target cluster is '{OTHER_CLUSTER_ID}'");
    // The certificate is for CN=client.
    for part in ["(USER-CLIENT): closed after Metadata", &ids] {
        assert!(told.contains(part), "'{part}' is not in the line: {told}");
    }
}

#[test]
fn a_certificate_that_no_rule_fits_is_refused() {
    let _turn = beside_others();
    let setting = setting();

    setting.refusal(&setting.gateway.bootstrap(NOBODY), true);

    assert!(setting.counted("bifrost.nobody.closed.unidentified") > 0);
    // The gateway itself connects to ask for the nodes.
    let connected = setting.counted("cluster.nobody/bootstrap.upstream_cx_total");
    let only_asked = || Ok((setting.counted("bifrost.nobody.own_requests") >= connected).then_some(()));
    wait::until("clients are not even connected", Duration::from_secs(5), only_asked).unwrap();
    let log = setting.gateway.log().unwrap();
    let told = log.lines().any(|line| line.contains("nobody: ") && line.contains("certificate 'CN=client'"));
    assert!(told, "{log}");
}

#[test]
fn another_cluster_answers_no_request_but_for_its_versions() {
    let _turn = beside_others();
    let setting = setting();
    let mut client = setting.connect(ELSEWHERE, Some(&setting.client));
    client.ask().unwrap();

    client.send(&wire::frame(12, 1, &MetadataRequest::default()).unwrap()).unwrap();

    assert_eq!(client.read_until_closed(), Vec::<u8>::new());
    assert!(setting.line_of(&client).contains(OTHER_CLUSTER_ID));
}

/// The subject as RFC 2253 writes it, the last part first, with a `\` more for the log; the first name of a kind.
#[test]
fn the_log_names_clients_as_their_certificates_do() {
    let _turn = beside_others();
    let setting = setting();
    let subject = [
        (DnType::CountryName, "CZ"),
        (DnType::OrganizationName, "Geodis, s.r.o."),
        (DnType::OrganizationalUnitName, "Objednávky"),
        (DnType::CommonName, "alice"),
    ];
    let names = [
        SanType::URI("spiffe://corp/ns/orders/sa/app".try_into().unwrap()),
        SanType::DnsName("app.orders.test".try_into().unwrap()),
        SanType::URI("spiffe://corp/second".try_into().unwrap()),
        SanType::DnsName("second.orders.test".try_into().unwrap()),
    ];
    let named = setting.issue(&subject, &names);
    let by_uri_only = setting.issue(&[], &names[..1]);
    for (virtual_cluster, who, principal) in [
        (BY_SUBJECT, Some(&named), r"CN=alice,OU=Objednávky,O=Geodis\\, s.r.o.,C=CZ"),
        (BY_DNS_NAME, Some(&named), "app.orders.test"),
        (BY_URI, Some(&named), "ns/orders/sa/app@corp"),
        (BY_URI, Some(&by_uri_only), "ns/orders/sa/app@corp"),
        (BY_SUBJECT, None, "$anonymous"),
        (BY_DNS_NAME, None, "$anonymous"),
        (BY_URI, None, "$anonymous"),
    ] {
        let mut client = setting.connect(virtual_cluster, who);
        client.ask().unwrap();
        // No request is that short. The end of a connection is when the client is named.
        client.send(&wire::sized(&[0])).unwrap();
        client.read_until_closed();
        let line = setting.line_of(&client);
        assert!(line.contains(&format!(" ({principal}): closed after ")), "{principal}: {line}");
    }
}

#[test]
fn a_certificate_without_the_name_that_is_asked_for_is_refused() {
    let _turn = beside_others();
    let setting = setting();
    let nameless = setting.issue(&[], &[SanType::URI("spiffe://corp/app".try_into().unwrap())]);
    for (virtual_cluster, who) in [(BY_SUBJECT, &nameless), (BY_DNS_NAME, &nameless), (BY_URI, &setting.client)] {
        let mut client = setting.connect(virtual_cluster, Some(who));
        assert!(client.ask().is_err());
        let line = setting.line_of(&client);
        assert!(line.contains("certificate has no name of the kind"), "{line}");
    }
}

#[test]
fn a_certificate_of_a_stranger_is_refused_where_none_is_needed() {
    let _turn = beside_others();
    let setting = setting();
    let folder = setting.run.folder("certificates").unwrap().join("stranger");
    let stranger = bifrost_e2e::certificates::Authority::new("A stranger's CA").unwrap();
    let stranger = stranger.issue(&folder, "client", &[]).unwrap();
    let refused =
        TlsClient::connect_as(Some(&stranger), setting.gateway.port(BY_SUBJECT), "127.0.0.1", &setting.authority);
    // With TLS 1.3 the client is done before its certificate has been looked at.
    assert!(refused.and_then(|mut client| client.ask()).is_err());
}

impl Setting {
    /// A connection to a virtual cluster's bootstrap port.
    fn connect(&self, virtual_cluster: usize, who: Option<&Issued>) -> TlsClient {
        TlsClient::connect_as(who, self.gateway.port(virtual_cluster), "127.0.0.1", &self.authority).unwrap()
    }

    /// A client's certificate with this subject and these other names.
    fn issue(&self, subject: &[(DnType, &str)], names: &[SanType]) -> Issued {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in subject {
            params.distinguished_name.push(kind.clone(), *value);
        }
        params.subject_alt_names = names.to_vec();
        let folder = self.run.folder("certificates").unwrap().join(unique("client"));
        self.authority.issue_with(&folder, params).unwrap()
    }

    /// The line of the log about this client.
    fn line_of(&self, client: &TlsClient) -> String {
        let address = client.local_address().to_string();
        wait::until("the log names the client", Duration::from_secs(10), || {
            let log = self.gateway.log()?;
            Ok(log.lines().find(|line| line.contains(&address) && line.contains("closed")).map(str::to_owned))
        })
        .unwrap()
    }
}
