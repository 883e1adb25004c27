//! Which tenants of one target cluster can use names of each other, and whether they agreed to it.
//!
//! Where one prefix begins another, both virtual clusters use the names that begin with the longer one, so both must list
//! each other in `sharesNamesWith`. A shared topic that another tenant owns is used in one direction: its owner must agree.
//! A virtual cluster without `virtualization` is a plain pipe to the whole target cluster; it is compared with nobody.

use std::collections::HashSet;

use crate::document::Virtualization;
use crate::host_port::HostPort;
use crate::load::Document;
use crate::problem::Problem;
use crate::validate::VirtualCluster;

/// A kind of names that has a prefix and that tenants can see of each other. Client ids have a prefix too, but no client
/// can ask for those of others.
struct Kind {
    /// Field below `spec.virtualization`.
    field: &'static str,
    names: &'static str,
    prefix: fn(&Virtualization) -> &str,
    /// Whether `.` and `_` are the same, as they are where Kafka looks for colliding topic names: it refuses to create a
    /// topic, and the reason that it gives quotes the name of the other topic.
    dot_is_underscore: bool,
}

const KINDS: [Kind; 3] = [
    Kind { field: "topicPrefix", names: "topics", prefix: |v| &v.topic_prefix, dot_is_underscore: true },
    Kind { field: "groupPrefix", names: "groups", prefix: |v| &v.group_prefix, dot_is_underscore: false },
    Kind {
        field: "transactionIdPrefix",
        names: "transactional ids",
        prefix: |v| &v.transaction_id_prefix,
        dot_is_underscore: false,
    },
];

impl Kind {
    fn overlap(&self, one: &str, other: &str) -> bool {
        if self.dot_is_underscore {
            begins_either(&one.replace('.', "_"), &other.replace('.', "_"))
        } else {
            begins_either(one, other)
        }
    }
}

/// Whether one of the two begins the other. The empty text begins every text.
fn begins_either(one: &str, other: &str) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// What has to be known of a virtual cluster.
#[derive(Clone, Copy)]
pub(crate) struct Member<'a> {
    document: &'a Document,
    name: &'a str,
    servers: &'a [HostPort],
    cluster_id: Option<&'a str>,
    virtualization: Option<&'a Virtualization>,
}

/// `virtual_clusters` in the order of `documents`.
pub(crate) fn members<'a>(documents: &'a [Document], virtual_clusters: &'a [VirtualCluster]) -> Vec<Member<'a>> {
    documents
        .iter()
        .zip(virtual_clusters)
        .map(|(document, virtual_cluster)| Member {
            document,
            name: &virtual_cluster.name,
            servers: &virtual_cluster.bootstrap_servers,
            cluster_id: virtual_cluster.cluster_identity.as_ref().map(|identity| &*identity.cluster_id),
            virtualization: document.resource.spec.virtualization.as_ref(),
        })
        .collect()
}

/// Reports every use of another's names without its consent, and every entry of `sharesNamesWith` that means nothing.
/// `all_read`: no virtual cluster is missing because its document could not be read.
pub(crate) fn check(members: &[Member<'_>], all_read: bool, problems: &mut Vec<Problem>) {
    let mut needed = HashSet::new();
    for target in targets(members) {
        let tenants: Vec<Tenant<'_>> = target.iter().filter_map(Tenant::of).collect();
        for owner in &tenants {
            for user in tenants.iter().filter(|user| user.name != owner.name) {
                let uses = owner.used_by(user);
                if uses.is_empty() {
                    continue;
                }
                if owner.virtualization.shares_names_with.iter().any(|name| name == user.name) {
                    needed.insert((owner.name, user.name));
                } else {
                    problems.extend(uses);
                }
            }
        }
    }
    // While something else is wrong, an entry may look needless and not be.
    let all_right = problems.is_empty();
    for owner in members.iter().filter_map(Tenant::of) {
        let listed = &owner.virtualization.shares_names_with;
        for (index, name) in listed.iter().enumerate() {
            let message = if name == owner.name {
                format!("'{name}' is this virtual cluster itself; remove it")
            } else if listed.iter().take(index).any(|earlier| earlier == name) {
                format!("'{name}' is listed twice")
            } else if all_read && !members.iter().any(|member| member.name == name) {
                format!("no virtual cluster has the name '{name}'; correct or remove it")
            } else if all_right && !needed.contains(&(owner.name, name.as_str())) {
                format!(
                    "not needed: neither prefixes nor shared topics of '{name}' reach names of '{}'; remove it",
                    owner.name
                )
            } else {
                continue;
            };
            let path = format!("spec.virtualization.sharesNamesWith[{index}]");
            problems.push(owner.document.problem(&path, message));
        }
    }
}

/// Groups the virtual clusters by target cluster. Two have the same target when they list a server or say a cluster id in
/// common, and also when a third one has something in common with each: a server belongs to one Kafka cluster.
fn targets<'a>(members: &[Member<'a>]) -> Vec<Vec<Member<'a>>> {
    struct Target<'a> {
        servers: HashSet<(String, u16)>,
        cluster_ids: HashSet<&'a str>,
        members: Vec<Member<'a>>,
    }
    let mut targets: Vec<Target<'a>> = Vec::new();
    for member in members {
        let servers = member.servers.iter().map(HostPort::identity).collect();
        let cluster_ids = member.cluster_id.into_iter().collect();
        let mut target = Target { servers, cluster_ids, members: vec![*member] };
        targets.retain_mut(|other| {
            let apart =
                other.servers.is_disjoint(&target.servers) && other.cluster_ids.is_disjoint(&target.cluster_ids);
            if !apart {
                target.servers.extend(other.servers.drain());
                target.cluster_ids.extend(other.cluster_ids.drain());
                target.members.append(&mut other.members);
            }
            apart
        });
        targets.push(target);
    }
    targets.into_iter().map(|target| target.members).collect()
}

/// A virtual cluster that has names of its own.
struct Tenant<'a> {
    document: &'a Document,
    name: &'a str,
    virtualization: &'a Virtualization,
}

impl<'a> Tenant<'a> {
    fn of(member: &Member<'a>) -> Option<Tenant<'a>> {
        let Member { document, name, virtualization, .. } = *member;
        Some(Tenant { document, name, virtualization: virtualization? })
    }

    /// Every way in which `user` gets at names of this tenant, as the problem that it is without consent.
    fn used_by(&self, user: &Tenant<'_>) -> Vec<Problem> {
        let overlaps: Vec<&Kind> = KINDS
            .iter()
            .filter(|kind| kind.overlap((kind.prefix)(self.virtualization), (kind.prefix)(user.virtualization)))
            .collect();
        let mut uses: Vec<Problem> = overlaps.iter().map(|kind| self.overlap(kind, user)).collect();
        if !overlaps.iter().any(|kind| kind.field == "topicPrefix") {
            uses.extend(self.topics_shown_by(user));
        }
        uses
    }

    fn overlap(&self, kind: &Kind, user: &Tenant<'_>) -> Problem {
        let Kind { field, names, prefix, .. } = kind;
        let path = format!("spec.virtualization.{field}");
        let (own, others) = (prefix(self.virtualization), prefix(user.virtualization));
        let relation = if own == others {
            "is the same as"
        } else if others.starts_with(own) {
            "begins"
        } else if own.starts_with(others) {
            "begins with"
        } else {
            "is, to Kafka, like"
        };
        let harm = if begins_either(own, others) {
            format!("each could get at {names} of the other")
        } else {
            "Kafka takes '.' and '_' in topic names for the same character, and when it refuses to create a topic that is \
             like another it names the other"
                .to_owned()
        };
        let message = format!(
            "{} of virtual cluster '{}' {relation} {}, the {field} of virtual cluster '{}' ({}): {harm}; change one of them \
             or, if that is meant, add '{}' to spec.virtualization.sharesNamesWith",
            quoted(own),
            self.name,
            quoted(others),
            user.name,
            user.document.place(&path),
            user.name
        );
        self.document.problem(&path, message)
    }

    /// Topics of this tenant among the shared topics of `user`.
    fn topics_shown_by(&self, user: &Tenant<'_>) -> Vec<Problem> {
        let prefix = &self.virtualization.topic_prefix;
        user.virtualization
            .shared_topics
            .iter()
            .enumerate()
            .filter(|(_, topic)| topic.topic.starts_with(prefix))
            .map(|(index, topic)| {
                let message = format!(
                    "'{}' belongs to virtual cluster '{}', whose topicPrefix is '{prefix}' ({}); remove it or, if virtual \
                     cluster '{}' may use it, add '{}' to spec.virtualization.sharesNamesWith there",
                    topic.topic,
                    self.name,
                    self.document.place("spec.virtualization.topicPrefix"),
                    user.name,
                    user.name
                );
                user.document.problem(&format!("spec.virtualization.sharedTopics[{index}].topic"), message)
            })
            .collect()
    }
}

fn quoted(prefix: &str) -> String {
    let note = if prefix.is_empty() { " (empty)" } else { "" };
    format!("'{}'{note}", prefix.escape_debug())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::path::Path;

    use crate::{RenderOptions, parse, validate};

    /// Virtual clusters by name, bootstrap servers and the text of `virtualization`; none when the text is empty.
    /// The result is a line for each problem: field and the start of the message.
    fn problems(virtual_clusters: &[(&str, &str, &str)]) -> Vec<String> {
        let text: String = virtual_clusters
            .iter()
            .zip(1..)
            .map(|((name, servers, virtualization), port)| {
                let virtualization = if virtualization.is_empty() {
                    String::new()
                } else {
                    format!(", virtualization: {virtualization}")
                };
                format!(
                    "---\napiVersion: gateway.corp/v1alpha1\nkind: KafkaVirtualCluster\nmetadata: {{ name: {name} }}\n\
                     spec: {{ listener: {{ port: {port}000, advertisedHost: gateway }}, targetCluster: \
                     {{ bootstrapServers: \"{servers}\" }}{virtualization} }}\n"
                )
            })
            .collect();
        let admin: SocketAddr = RenderOptions::default().admin;
        let problems = validate(parse(Path::new("test.yaml"), &text, &|_| None), admin).err().unwrap_or_default();
        problems
            .into_iter()
            .map(|problem| format!("{} {}: {}", problem.document, problem.path, problem.message))
            .collect()
    }

    /// Documents and last fields of the problems of two virtual clusters on one target cluster.
    fn fields(one: &str, other: &str) -> Vec<String> {
        problems(&[("one", "kafka:9092", one), ("other", "kafka:9092", other)])
            .iter()
            .map(|problem| {
                let (field, _) = problem.split_once(':').unwrap();
                field.replace("spec.virtualization.", "")
            })
            .collect()
    }

    fn tenant(prefix: &str) -> String {
        format!("{{ topicPrefix: '{prefix}', groupPrefix: '{prefix}', transactionIdPrefix: '{prefix}' }}")
    }

    const ALL: [&str; 6] = [
        "1 groupPrefix",
        "1 topicPrefix",
        "1 transactionIdPrefix",
        "2 groupPrefix",
        "2 topicPrefix",
        "2 transactionIdPrefix",
    ];

    #[test]
    fn prefixes_that_begin_each_other_overlap_for_every_kind() {
        for (one, other, wanted) in [
            ("a-", "b-", &[][..]),
            ("a-", "a-", &ALL),
            ("a-", "a-b-", &ALL),
            ("a-b-", "a-", &ALL),
            ("", "a-", &ALL),
            ("", "", &ALL),
            ("A-", "a-", &[]),
            ("a.", "a_", &["1 topicPrefix", "2 topicPrefix"]),
            ("a_b-", "a.", &["1 topicPrefix", "2 topicPrefix"]),
        ] {
            assert_eq!(fields(&tenant(one), &tenant(other)), wanted, "'{one}' and '{other}'");
        }
    }

    #[test]
    fn each_kind_is_compared_with_its_own_kind_only() {
        let one = "{ topicPrefix: a-, groupPrefix: b-, transactionIdPrefix: c- }";
        let other = "{ topicPrefix: b-, groupPrefix: c-, transactionIdPrefix: c-d- }";
        assert_eq!(fields(one, other), ["1 transactionIdPrefix", "2 transactionIdPrefix"]);
    }

    #[test]
    fn client_id_prefixes_may_be_equal() {
        let tenant = |prefix: &str| tenant(prefix).replace('}', ", clientIdPrefix: x }");
        assert_eq!(fields(&tenant("a-"), &tenant("b-")), [""; 0]);
    }

    #[test]
    fn a_plain_pipe_overlaps_with_nobody() {
        assert_eq!(fields("", &tenant("a-")), [""; 0]);
        assert_eq!(fields("", "{}"), [""; 0]);
        assert_eq!(fields("", ""), [""; 0]);
    }

    #[test]
    fn both_sides_of_an_overlap_must_agree() {
        let agreed = |prefix: &str, with: &str| tenant(prefix).replace('}', &format!(", sharesNamesWith: [{with}] }}"));
        assert_eq!(fields(&agreed("a-", "other"), &agreed("a-", "one")), [""; 0]);
        assert_eq!(fields(&agreed("a-", "other"), &tenant("a-")), &ALL[3..]);
        assert_eq!(fields(&tenant("a-"), &agreed("", "one")), &ALL[..3]);
    }

    #[test]
    fn the_owner_of_a_shared_topic_must_agree() {
        let owner = "{ topicPrefix: a-, groupPrefix: a-, transactionIdPrefix: a- }";
        let agrees = owner.replace('}', ", sharesNamesWith: [other] }");
        let user = |topic: &str| tenant("b-").replace('}', &format!(", sharedTopics: [{{ topic: {topic} }}] }}"));
        assert_eq!(fields(owner, &user("a-orders")), ["2 sharedTopics[0].topic"]);
        assert_eq!(fields(&agrees, &user("a-orders")), [""; 0]);
        assert_eq!(fields(owner, &user("public")), [""; 0]);
        assert_eq!(fields(owner, &user("a_orders")), [""; 0], "Kafka keeps it apart from a-orders");
        assert_eq!(fields(&agrees, &user("public")), ["1 sharesNamesWith[0]"], "needless");
    }

    #[test]
    fn two_tenants_may_share_a_topic_that_nobody_owns() {
        let user =
            |prefix: &str| tenant(prefix).replace('}', ", sharedTopics: [{ topic: public, access: readWrite }] }");
        assert_eq!(fields(&user("a-"), &user("b-")), [""; 0]);
    }

    #[test]
    fn the_target_is_the_same_when_a_server_is() {
        let names = tenant("a-");
        for (one, other, same) in [
            ("kafka-1:9092,kafka-2:9092", "kafka-2:9092,kafka-3:9092", true),
            ("Kafka-1.Internal:9092", "kafka-1.internal.:9092", true),
            ("[::1]:9092", "[0::1]:9092", true),
            ("kafka:9092", "kafka:9093", false),
            ("kafka-1:9092", "kafka-2:9092", false),
        ] {
            let problems = problems(&[("one", one, &names), ("other", other, &names)]);
            assert_eq!(!problems.is_empty(), same, "{one} and {other}");
        }
    }

    #[test]
    fn the_target_is_the_same_when_its_id_is() {
        let names = tenant("a-");
        for (one, other, same) in [("x", "x", true), ("x", "y", false)] {
            // Closes the text, and goes on in the mapping around it.
            let servers = [(1, one), (2, other)].map(|(n, id)| format!("kafka-{n}:9092\", clusterId: \"{id}"));
            let problems = problems(&[("one", &servers[0], &names), ("other", &servers[1], &names)]);
            assert_eq!(!problems.is_empty(), same, "{one} and {other}");
        }
    }

    #[test]
    fn a_third_virtual_cluster_can_show_that_two_targets_are_one() {
        let names = tenant("a-");
        let (one, other) = (("one", "kafka-1:9092", names.as_str()), ("other", "kafka-2:9092", names.as_str()));
        let both = ("both", "kafka-1:9092,kafka-2:9092", "");
        for order in [[one, both, other], [both, one, other], [one, other, both]] {
            assert_eq!(problems(&order).len(), 6);
        }
        assert_eq!(problems(&[one, other]), [""; 0]);
    }

    #[test]
    fn a_name_is_called_needless_only_when_nothing_else_is_wrong() {
        let shares = tenant("a-").replace('}', ", sharesNamesWith: [other] }");
        assert_eq!(fields(&shares, &tenant("b-")), ["1 sharesNamesWith[0]"]);
        assert_eq!(fields(&shares, &tenant("b/")), ["2 topicPrefix"]);
    }
}
