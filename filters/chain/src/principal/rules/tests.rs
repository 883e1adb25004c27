//! What Kafka's documentation and its own tests say of mapping rules.
#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test, in helpers too")]

use super::MappingRules;

fn rules(text: &str) -> MappingRules {
    text.to_owned().try_into().unwrap()
}

fn refused(text: &str) -> String {
    MappingRules::try_from(text.to_owned()).expect_err(text)
}

/// Those of the documentation ("Security", "Customizing SSL User Name"), and two names that they do not fit.
#[test]
fn kafkas_example_gives_what_kafka_says() {
    let rules = rules(
        "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/,
         RULE:^CN=(.*?),OU=(.*?),O=(.*?),L=(.*?),ST=(.*?),C=(.*?)$/$1@$2/L,
         RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/L,
         DEFAULT",
    );
    for (name, principal) in [
        ("CN=serviceuser,OU=ServiceUsers,O=Unknown,L=Unknown,ST=Unknown,C=Unknown", "serviceuser"),
        ("CN=adminUser,OU=Admin,O=Unknown,L=Unknown,ST=Unknown,C=Unknown", "adminuser@admin"),
        ("O=Example,cn=Duke.1", "duke.1"),
        ("OU=JavaSoft,O=Sun Microsystems,C=US", "OU=JavaSoft,O=Sun Microsystems,C=US"),
    ] {
        assert_eq!(rules.apply(name).as_deref(), Some(principal), "{name}");
    }
}

#[test]
fn the_first_rule_that_fits_counts_and_case_can_be_changed() {
    let rules = rules(
        "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/L, \
         RULE:^CN=(.*?),OU=(.*?),O=(.*?),L=(.*?),ST=(.*?),C=(.*?)$/$1@$2/L, \
         RULE:^cn=(.*?),ou=(.*?),dc=(.*?),dc=(.*?)$/$1@$2/U, \
         RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/U",
    );
    for (name, principal) in [
        ("CN=Duke,OU=ServiceUsers,O=Org,C=US", Some("duke")),
        ("CN=Duke,OU=SME,O=mycp,L=Fulton,ST=MD,C=US", Some("duke@sme")),
        ("cn=duke,ou=sme,dc=mycp,dc=com", Some("DUKE@SME")),
        ("cN=duke,OU=JavaSoft,O=Sun Microsystems", Some("DUKE")),
        ("OU=JavaSoft,O=Sun Microsystems,C=US", None),
    ] {
        assert_eq!(rules.apply(name).as_deref(), principal, "{name}");
    }
}

#[test]
fn a_pattern_matches_the_whole_name_or_not_at_all() {
    for (rule, name, principal) in [
        ("RULE:CN=(a|ab)/$1/", "CN=ab", Some("ab")),
        ("RULE:CN=a/x/", "CN=ab", None),
        ("RULE:N=a/x/", "CN=a", None),
        ("RULE:CN=a|O=b/x/", "CN=aO=b", None),
        ("RULE:.*/x/", "CN=a", Some("x")),
    ] {
        assert_eq!(rules(rule).apply(name).as_deref(), principal, "{rule} on {name}");
    }
}

#[test]
fn commas_slashes_and_backslashes_belong_to_patterns() {
    for (rule, name, principal) in [
        (r"RULE:^CN=((\\, *|\w)+)(,.*|$)/$1/,DEFAULT", r"CN=Tkac\, Adam,OU=ITZ,DC=geodis,DC=cz", r"Tkac\, Adam"),
        (r"RULE:spiffe:\/\/([a-z]+)\/(.*)/$2@$1/", "spiffe://corp/orders/app", "orders/app@corp"),
        (r"RULE:(.*)/$1\/x/", "a", "a/x"),
        ("RULE:[^,]+(,[^,]+){2}/three/U", "a,b,c", "THREE"),
    ] {
        assert_eq!(rules(rule).apply(name).as_deref(), Some(principal), "{rule}");
    }
}

#[test]
fn a_group_that_is_not_there_is_text() {
    for (rule, principal) in [
        ("RULE:(a)(b)?c/$1@$2@$0/", "a@@ac"),
        ("RULE:(a)c/$1@$2/", "a@$2"),
        ("RULE:(a)c/$10/", "$10"),
        (r"RULE:(a)c/\$1$1/", "$1a"),
        ("RULE:(a)c/$99999999999999999999/", "$99999999999999999999"),
    ] {
        assert_eq!(rules(rule).apply("ac").as_deref(), Some(principal), "{rule}");
    }
}

#[test]
fn no_rules_are_the_default_and_empty_ones_are_none() {
    for text in ["", "  ", ",", " DEFAULT ", ",, DEFAULT  ,  , DEFAULT, "] {
        assert_eq!(rules(text).apply("CN=a").as_deref(), Some("CN=a"), "{text}");
        assert_eq!(String::from(rules(text)), text);
    }
    assert_eq!(MappingRules::default(), rules("DEFAULT"));
}

/// Kafka refuses the same (`SslPrincipalMapperTest`), up to the patterns.
#[test]
fn what_is_no_rule_is_refused() {
    for (text, reason) in [
        ("default", "rule 1: 'default' begins neither"),
        ("DEFAUL", "rule 1: 'DEFAUL' begins neither"),
        ("DEFAULT/L", "rule 1: '/L' follows it"),
        ("DEFAULT DEFAULT", "rule 1: 'DEFAULT' follows it"),
        ("DEFAULT,rule:^CN=(.*?),OU=ServiceUsers.*$/$1/", "rule 2: 'rule:^CN=(.*?),OU=Se' begins neither"),
        ("RULE:CN=(.*?),OU=ServiceUsers.*/$1", "rule 1: has no '/' behind its replacement"),
        ("RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/L/U", "rule 1: '/U' follows it"),
        ("RULE:^CN=(.*?),OU=ServiceUsers.*$/L", "rule 1: has no '/' behind its replacement"),
        ("RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/LU", "rule 1: 'U' follows it"),
        (r"RULE:a\/b", "rule 1: has no '/' behind its pattern"),
        ("RULE:", "rule 1: has no '/' behind its pattern"),
        ("RULE:(a/b/", "rule 1: its pattern '(a' is not good: "),
        ("RULE:a)|(b/c/", "rule 1: its pattern 'a)|(b' is not good: "),
        ("RULE:(?=a).*/b/", "rule 1: its pattern '(?=a).*' is not good: "),
        (r"RULE:(a)\1/b/", r"rule 1: its pattern '(a)\1' is not good: "),
        ("RULE:((a{999}){999}){999}/b/", "rule 1: its pattern '((a{999}){999}){999}' is not good: "),
        ("RULE:a/$x/", "rule 1: its replacement '$x' has a '$' without a number"),
        ("RULE:a/b$/", "rule 1: its replacement 'b$' has a '$' without a number"),
    ] {
        let said = refused(text);
        assert!(said.starts_with(reason), "{text}: {said}");
    }
    assert!(refused(&"x".repeat(super::TEXT_BYTES_MAX + 1)).contains("at most 16384 are allowed"));
}

/// What takes a backtracking engine longer than the world has been standing.
#[test]
fn matching_takes_linear_time() {
    let rules = rules("RULE:(a*)*(a*)*(a*)*b/x/,RULE:(.*,)*(.*,)*z/x/");
    let name = format!("{}c", "a,".repeat(2_000));
    assert_eq!(rules.apply(&name), None);
}
