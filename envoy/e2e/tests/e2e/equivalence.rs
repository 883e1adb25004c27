//! One scenario on a bare cluster, then in two virtual ones at the same time, with the same names. Every result is the
//! same, but for what `filters/tenancy/DIFFERENCES.md` lists.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use bifrost_e2e::clients::{Clients, Family, Running};
use bifrost_e2e::gateway::{GATEWAY_IP, Gateway, VirtualCluster};
use bifrost_e2e::kafka::{BROKER_IP, Extra, Kafka, Version};
use bifrost_e2e::run_dir::RunDir;
use bifrost_e2e::tap::Tap;
use serde_json::Value;

use crate::fixture::{TAP_IP, beside_others, tools};

/// The only place that says what may differ.
const DIFFERENCES: &str = include_str!("../../../../filters/tenancy/DIFFERENCES.md");

const TENANTS: [&str; 2] = ["tenantA", "tenantB"];

/// What makes the scenario short: members of groups hear soon what has changed. Transactions time out only where they must.
const PROPERTIES: &str = "auto.create.topics.enable=true
group.consumer.min.heartbeat.interval.ms=200
group.consumer.heartbeat.interval.ms=200
group.share.min.heartbeat.interval.ms=200
group.share.heartbeat.interval.ms=200
group.streams.min.heartbeat.interval.ms=200
group.streams.heartbeat.interval.ms=200
group.streams.initial.rebalance.delay.ms=0
";

const PATIENCE: Duration = Duration::from_secs(300);

#[test]
fn a_virtual_cluster_differs_from_a_bare_one_only_where_it_says_so() {
    let _turn = beside_others();
    let listed = Difference::read(DIFFERENCES);
    let tools = tools();
    let run = RunDir::create(&tools, "equivalence").unwrap();
    let extra = Extra { properties: PROPERTIES, ..Extra::default() };
    let kafka = Kafka::start_with(&tools, &run, Version::V4_4, 1, extra).unwrap();
    let virtual_clusters = TENANTS.map(|tenant| {
        let prefixes = format!(
            "  virtualization: {{ topicPrefix: {tenant}-, groupPrefix: {tenant}-, transactionIdPrefix: {tenant}- }}\n"
        );
        VirtualCluster::new(&tenant.to_lowercase(), &kafka.bootstrap_servers()).advertised(TAP_IP).more(&prefixes)
    });
    let gateway = Gateway::start(&tools, &run, "gateway", &virtual_clusters).unwrap();
    let forbidden = [&TENANTS.map(|tenant| format!("{tenant}-"))[..], &[BROKER_IP.to_string()]].concat();
    let ports = (0..TENANTS.len()).flat_map(|tenant| gateway.all_ports(tenant));
    let tap = Tap::start(TAP_IP, GATEWAY_IP, ports, &forbidden).unwrap();
    let operator = Clients::new(&tools, &run, kafka.bootstrap_servers()).unwrap();
    let tenants: Vec<Clients> =
        (0..TENANTS.len()).map(|tenant| operator.at(format!("{TAP_IP}:{}", gateway.port(tenant)))).collect();

    // The bare cluster has its turn before the others: it shows everybody's names.
    let [bare] = scenario([&operator], &[]);
    finalize_transactions(&operator, "1");
    let [bare_again] = scenario([&operator], &[("part", "transactions-again")]);
    finalize_transactions(&operator, "2");
    let together = [&tenants[0], &tenants[1]];
    let first = scenario(together, &[]);
    finalize_transactions(&operator, "1");
    let again = scenario(together, &[("part", "transactions-again")]);

    let bare = [bare, older(bare_again)].concat();
    let tenants: Vec<Steps> =
        first.into_iter().zip(again).map(|(first, again)| [first, older(again)].concat()).collect();
    let report = compare(&bare, &tenants, &listed);
    let findings = tap.findings();
    assert!(report.is_empty() && findings.is_empty(), "{report}\n\nwhat no tenant may see: {findings:#?}");
    gateway.stop().unwrap();
}

/// Name and result of every step.
type Steps = Vec<(String, String)>;

/// Runs the scenario with all clients at the same time.
fn scenario<const N: usize>(clients: [&Clients; N], arguments: &[(&str, &str)]) -> [Steps; N] {
    let forbidden = TENANTS.map(|tenant| format!("{tenant}-")).join(",");
    let arguments = [arguments, &[("forbidden", &*forbidden)]].concat();
    clients.map(|clients| clients.start(Family::Java, "scenario", &arguments).unwrap()).map(|mut running: Running| {
        let report = running.finish(PATIENCE).unwrap();
        let text = |value: &Value| value.as_str().expect("a string").to_owned();
        let steps = report["steps"].as_array().expect("a list of steps");
        steps.iter().map(|step| (text(&step[0]), text(&step[1]))).collect()
    })
}

/// As the operator of the brokers does: with version 1, clients tell which partitions a transaction is about to change.
fn finalize_transactions(operator: &Clients, level: &str) {
    operator.run(Family::Java, "finalize", &[("feature", "transaction.version"), ("level", level)]).unwrap();
}

/// Names of steps that were taken with the older version of transactions.
fn older(steps: Steps) -> Steps {
    steps.into_iter().map(|(step, result)| (format!("transaction.version 1: {step}"), result)).collect()
}

/// A row of the table.
#[derive(Debug, PartialEq, Eq)]
struct Difference {
    step: String,
    /// `…` stands for anything, but for the same in both columns.
    bare: String,
    tenant: String,
}

impl Difference {
    fn read(markdown: &str) -> Vec<Difference> {
        let rows = markdown.lines().filter(|line| line.starts_with('|')).map(cells);
        rows.skip_while(|row| row[0] != "step")
            .skip(2)
            .map(|row| {
                let [step, bare, tenant, reason] = <[String; 4]>::try_from(row).expect("a row has four cells");
                assert!(!reason.is_empty(), "{step}: no reason is given");
                Difference { step, bare, tenant }
            })
            .collect()
    }

    /// Whether these results are the ones that it lists.
    fn allows(&self, bare: &str, tenant: &str) -> bool {
        match (fit(bare, &self.bare), fit(tenant, &self.tenant)) {
            (Some(bare), Some(tenant)) => bare.iter().zip(&tenant).all(|(bare, tenant)| bare == tenant),
            _ => false,
        }
    }
}

/// Cells of a row of Markdown: `|` in a cell is written `\|`, and backticks around it do not count.
fn cells(row: &str) -> Vec<String> {
    const PIPE: &str = "\u{0}";
    let row = row.trim().trim_matches('|').replace("\\|", PIPE);
    row.split('|').map(|cell| cell.trim().trim_matches('`').replace(PIPE, "|")).collect()
}

/// What differs and is not listed, and what is listed and does not differ so; nothing when all is well.
fn compare(bare: &Steps, tenants: &[Steps], listed: &[Difference]) -> String {
    let results: Vec<HashMap<&str, &str>> =
        tenants.iter().map(|steps| steps.iter().map(|(step, result)| (&**step, &**result)).collect()).collect();
    let mut report = String::new();
    for (step, expected) in bare {
        let got: Vec<&str> = results.iter().map(|results| *results.get(&**step).unwrap_or(&"(never came)")).collect();
        let row = listed.iter().find(|row| row.step == *step);
        let good = match row {
            None => got.iter().all(|result| result == expected),
            Some(row) => got.iter().all(|result| result != expected && row.allows(expected, result)),
        };
        let alike = got.iter().all(|result| *result == got[0]);
        if !good || !alike {
            let _ = write!(report, "\n\n{step}\n     bare: {expected}");
            for (tenant, result) in TENANTS.iter().zip(got) {
                let _ = write!(report, "\n  {tenant}: {result}");
            }
            if let Some(row) = row {
                let _ = write!(report, "\n  listed as: {} instead of {}", row.tenant, row.bare);
            }
        }
    }
    for row in listed.iter().filter(|row| bare.iter().all(|(step, _)| *step != row.step)) {
        let _ = write!(report, "\n\n{}\n  is listed, but no step is called so", row.step);
    }
    report
}

/// What `…` stands for, every time; nothing when the text does not fit the pattern.
fn fit<'t>(text: &'t str, pattern: &str) -> Option<Vec<&'t str>> {
    let mut pieces = pattern.split('…');
    let mut rest = text.strip_prefix(pieces.next()?)?;
    let Some(last) = pieces.next_back() else { return rest.is_empty().then(Vec::new) };
    let mut found = Vec::new();
    for piece in pieces {
        let (before, after) = rest.split_once(piece)?;
        found.push(before);
        rest = after;
    }
    found.push(rest.strip_suffix(last)?);
    Some(found)
}

#[test]
fn a_pattern_of_the_table_fits_as_a_whole() {
    for (text, pattern, expected) in [
        ("abc", "abc", Some(vec![])),
        ("abcd", "abc", None),
        ("abcd", "a…", Some(vec!["bcd"])),
        ("abcd", "a…d", Some(vec!["bc"])),
        ("abcd", "a…c", None),
        ("abcd", "…b…", Some(vec!["a", "cd"])),
        ("ab", "ab…b", None),
    ] {
        assert_eq!(fit(text, pattern), expected, "{text} {pattern}");
    }
}

#[test]
fn a_row_allows_what_stands_in_both_columns_only_once_for_both() {
    let row = Difference { step: "list".into(), bare: "[internal, …]".into(), tenant: "[…]".into() };

    let allowed = [("[internal, a, b]", "[a, b]"), ("[internal, a, b]", "[a]"), ("[a, b]", "[a, b]")];

    assert_eq!(allowed.map(|(bare, tenant)| row.allows(bare, tenant)), [true, false, false]);
}

#[test]
fn a_row_of_the_table_may_hold_a_pipe() {
    let table = "# Title\n\n| step | bare cluster | virtual cluster | reason |\n|---|---|---|---|\n| a \\| b | `[1]` | none | so |\n";

    let rows = Difference::read(table);

    assert_eq!(rows, [Difference { step: "a | b".into(), bare: "[1]".into(), tenant: "none".into() }]);
}
