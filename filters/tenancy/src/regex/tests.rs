//! What is accepted, cut and refused; every accepted pattern is tried on names.

use ::regex::Regex;
use proptest::prelude::*;

use super::*;

/// What `pattern` becomes behind `acme.`, without the wrapper.
fn inner(pattern: &str) -> Option<String> {
    let wrapped = wrap("acme.", pattern)?;
    Some(wrapped.strip_prefix(r"acme\.(?:").unwrap().strip_suffix(')').unwrap().to_owned())
}

#[test]
fn what_both_read_alike_is_wrapped_as_it_is() {
    #[rustfmt::skip]
    let plain = [
        "", "|", "a|", "()", "(?:)", "a", "ab.*", "a|b", "a*?", "a+?", "a??", "a{3}", "a{2,}", "a{0,1000}?", "a{0}",
        ".", r"\.", r"\*", r"\-", r"\_", r"\#", r"\{", r"\}", r"\]", r"\/", r"\x41", r"\x{41}", r"\x{10FFFF}", r"\a",
        r"\f", r"\n", r"\r", r"\t", r"\v", r"\d\D\s\S\w\W", "(a)(b)", "(?P<n_1>a)", "(?i)x|y", "a(?i)b", "(?i-s:x)",
        "(?-i:x)", "(?U)a*", "(?s).", "(?is-U)a", "[a]", "[^a]", "[a-z]", "[]a]", "[^]a]", "[-a]", "[a-]", "[^-a]",
        "[]-]", "[a^]", "[^^]", r"[\d-]", r"[\]\-\[\^]", r"[\x41-\x{5A}]", "[[:word:]]", "[[:^alpha:]x]", r"[\w.]",
        "[.*+?(){}|$]", "[&~]", r"[!-\-]", "a$", "a\\z", "a$|b$", "(a$|b)", "(?:a$)", "$", "$$", "$(?i)", "a b#c",
        "((a|b){10}){20}", "\u{fc}", "[\u{e4}-\u{fc}]", "-", "_", "a,b", "<>", "/", "a=b", "&&", "~", "\"'", "\n",
    ];
    for pattern in plain {
        assert_eq!(inner(pattern).as_deref(), Some(pattern), "{pattern}");
        let wrapped = wrap("acme.", pattern).unwrap();
        assert_eq!(unwrap("acme.", &wrapped), Some(pattern), "{pattern}");
    }
}

#[test]
fn anchors_at_the_start_are_cut_out() {
    let cut = [
        ("^", ""),
        ("^a", "a"),
        (r"\Aa", "a"),
        ("^^a", "a"),
        (r"^\A^", ""),
        ("^$", "$"),
        ("^|$", "|$"),
        ("a|^b", "a|b"),
        ("^a|^b", "a|b"),
        ("^a$|b", "a$|b"),
        ("(^a|b)c", "(a|b)c"),
        ("((^a)|^b)c", "((a)|b)c"),
        ("(?P<n>^a)", "(?P<n>a)"),
        ("(?i:^a)", "(?i:a)"),
        ("(?i)^a", "(?i)a"),
        ("^(?i)^a", "(?i)a"),
        ("^(?:^a|^)", "(?:a|)"),
        ("(^)a", "()a"),
        ("^(a)*", "(a)*"),
    ];
    for (pattern, expected) in cut {
        let wrapped = wrap("acme.", pattern);
        assert_eq!(wrapped, Some(format!(r"acme\.(?:{expected})")), "{pattern}");
        assert_eq!(unwrap("acme.", &wrapped.unwrap()), Some(expected), "{pattern}");
    }
}

#[test]
fn what_one_of_them_reads_otherwise_is_refused() {
    #[rustfmt::skip]
    let refused = [
        // not complete in itself
        "x)|(?:.*", ")", "(", "(?:", "(?i", "(?", "[", "[a", "[]", "[^]", r"\", r"a\", "a)(b", "*", "+a", "?", "|*",
        "(*)", "(?i)*", "a(?i)*", "{2}",
        // anchors that do not stand at an end, or may be repeated
        "a^", "a^b", "$a", "a$b", "$^", "a|b^", "^*", "^?", "^{2}", "(?:^)?x", "(^a)*", "(?:^a|b)+", "(a$)*", "(a$)?b",
        "(a|b$)c", "a(^b)", "(a^)", "(a)^", "()^", r"a\A", r"\za", "^*?", "$*", "(^?:a)",
        r"\b", r"\B", r"a\b", r"\ba", r"\<a", r"a\>", r"\b{start}", r"\Z", r"\G",
        // flags
        "(?m)^a", "(?m:a)", "(?x) a", "(?x)a # c", "(?u)a", "(?-u)a", "(?R)a", "(?im)a", "(?-m)a", "(?)", "(?-)",
        "(?i-)a", "(?ii)a", "(?#c)", "(?n)a",
        // groups
        "(?<n>a)", "(?P<n.x>a)", "(?P<>a)", "(?P<\u{fc}>a)", "(?P<n>a)(?P<n>b)", "(?P=n)", "(?=a)", "(?!a)", "(?<=a)",
        "(?>a)", "(?'n'a)",
        // escapes
        r"\Qx\E", r"\Q", r"\E", r"\C", r"\X", r"\1", r"\141", r"\0", r"\8", r"\u0041", r"\u{41}", r"\U00000041",
        r"\x", r"\x4", r"\x{}", r"\x{110000}", r"\x{D800}", r"\x{ 41}", r"\x{4_1}", r"\pL", r"\p{L}", r"\PL",
        r"\p{Greek}", r"\h", r"\R", r"\K", r"\c", r"\e", r"\ ", "\\\u{fc}", "\\\n", r"\N{x}", r"[\b]", r"[\pL]",
        // repetition
        "a**", "a*+", "a++", "a?*", "a???", "a{2}{3}", "a{2}*", "a*{2}", "a{,3}", "a{", "a{}", "a{,}", "a{x}", "{",
        "}", "a}", "a{2", "a{ 2 }", "a{2, 3}", "a{02}", "a{2,03}", "a{3,2}", "a{1001}", "a{1001,}", "a{1,1001}",
        "a{99999999999}", "((a{100}){100}){100}", "(a{11}){100}", "a{+2}", "a{-1}",
        // classes
        "[a[b]]", "[[a]]", "[a&&b]", "[a--b]", "[a~~b]", "[a&&]", "[--a]", "[---]", "[+--]", "[a-b-c]", "[]-a]",
        r"[a-\d]", r"[\d-a]", "[z-a]", "[[:foo:]]", "[[:alpha:]-z]", "[[:alpha:", "[a-[:digit:]]", "[[=a=]]",
        "[[.a.]]", "a]", "]", "[a]]", r"[\Q]\E]", r"[\x{}]",
    ];
    for pattern in refused {
        assert_eq!(inner(pattern), None, "{pattern}");
    }
}

#[test]
fn size_is_bounded() {
    assert!(inner(&"a".repeat(PATTERN_BYTES_MAX)).is_some());
    assert_eq!(inner(&"a".repeat(PATTERN_BYTES_MAX + 1)), None);
    let nested = |depth: usize| format!("{}a{}", "(".repeat(depth), ")".repeat(depth));
    assert!(inner(&nested(NESTING_MAX as usize - 1)).is_some());
    assert_eq!(inner(&nested(NESTING_MAX as usize + 1)), None);
    assert_eq!(inner(&nested(2_000)), None);
    assert!(inner(&".{1000}".repeat(4)).is_some());
    assert_eq!(inner(&".{1000}".repeat(5)), None);
    assert_eq!(inner("((a|b){10}){100}"), None);
    assert!(inner("(.?){400}").is_some());
    assert_eq!(inner("(.?){500}"), None);
    assert!(inner(&"()".repeat(600)).is_some());
    assert_eq!(inner(&"()".repeat(700)), None);
    assert!(inner(&["orders.eu-1"; 300].join("|")).is_some(), "a long list of topics");
    assert!(wrap(&"p".repeat(WRAPPED_BYTES_MAX - 5), "a").is_some());
    assert_eq!(wrap(&"p".repeat(WRAPPED_BYTES_MAX - 4), "a"), None);
}

#[test]
fn a_prefix_is_taken_literally() {
    for prefix in ["", "acme.", "a-b_c.", r"a.*+?()|[]{}^$\", "\u{fc}.", "#&~ /"] {
        let wrapped = wrap(prefix, "x").unwrap();
        let whole = whole(&wrapped);
        assert!(whole.is_match(&format!("{prefix}x")), "{wrapped}");
        assert!(!whole.is_match(&format!("{prefix}y")) && !whole.is_match("acmexx"), "{wrapped}");
        assert_eq!(unwrap(prefix, &wrapped), Some("x"), "{wrapped}");
    }
    assert_eq!(wrap("a-b.", "x").as_deref(), Some(r"a-b\.(?:x)"));
    assert_eq!(wrap("", "^x|y").as_deref(), Some("(?:x|y)"));
    assert_eq!(wrap("", "x)|(?:y"), None);
}

#[test]
fn only_what_was_wrapped_is_unwrapped() {
    assert_eq!(unwrap("acme.", r"acme\.(?:a|b)"), Some("a|b"));
    #[rustfmt::skip]
    let others = [
        r"acme\.a", r"acme.(?:a)", r"other\.(?:a)", r"acme\.(?:a", r"acme\.(?:a)b", r"acme\.(?:x)|(?:.*)", "(?:a)", "",
        r"acme\.(?:", r"acme\.(?:^a)", r"acme\.(?i:a)", r"acme\.(?:\pL)",
    ];
    for other in others {
        assert_eq!(unwrap("acme.", other), None, "{other}");
    }
}

fn whole(pattern: &str) -> Regex {
    Regex::new(&format!("^(?:{pattern})$")).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

/// Prefix whose characters occur in names, too.
const PREFIX: &str = "a.";

/// All strings of up to three of a few characters.
fn names() -> Vec<String> {
    let mut names = vec![String::new()];
    let mut longest = names.clone();
    for _ in 0..3 {
        longest = longest.iter().flat_map(|name| ['a', 'b', 'A', '.', '\n'].map(|c| format!("{name}{c}"))).collect();
        names.extend_from_slice(&longest);
    }
    names
}

/// Checks what `pattern` becomes, if anything, on all names.
fn check(pattern: &str) -> Result<(), TestCaseError> {
    let Some(wrapped) = wrap(PREFIX, pattern) else { return Ok(()) };
    let (alone, behind) = (whole(pattern), whole(&wrapped));
    for name in names() {
        prop_assert_eq!(
            alone.is_match(&name),
            behind.is_match(&format!("{PREFIX}{name}")),
            "{:?} as {:?} on {:?}",
            pattern,
            wrapped,
            name
        );
        let is_own = name.starts_with(PREFIX);
        prop_assert!(is_own || !behind.is_match(&name), "{:?} as {:?} finds {:?}", pattern, wrapped, name);
    }
    let inner = unwrap(PREFIX, &wrapped);
    prop_assert!(inner.is_some(), "{:?}", wrapped);
    prop_assert_eq!(inner.and_then(|inner| wrap(PREFIX, inner)), Some(wrapped));
    Ok(())
}

/// Pieces of patterns, complete or not.
fn junk() -> impl Strategy<Value = String> {
    #[rustfmt::skip]
    let piece = prop::sample::select(vec![
        "a", "b", "A", ".", r"\.", "^", "$", r"\A", r"\z", "|", "(", ")", "(?:", "(?i:", "(?i)", "(?s)", "(?U)", "(?m)",
        "(?x)", "(?P<n>", "*", "+", "?", "*?", "{2}", "{0,2}", "{,2}", "{", "}", "[", "]", "[^", "-", "[ab]", "[^a]",
        "[a-b]", "[]a]", "&&", "--", r"\d", r"\W", r"\b", r"\B", r"\Q", r"\E", r"\x61", r"\x{62}", r"\141", "\\", "#",
        " ", "\n", ":", ",", "2", "\u{fc}",
    ]);
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

/// Patterns of the subset, and anchors at any place.
fn complete() -> impl Strategy<Value = String> {
    #[rustfmt::skip]
    let leaf = prop::sample::select(vec![
        "", "a", "b", "A", ".", r"\.", r"\w", r"\W", "[ab]", "[^a]", "[.-]", "[[:upper:]]", r"\x61", "^", "$", r"\A",
        r"\z", "(?i)", "(?s)",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(5, 24, 4, |inner| {
        let suffix = prop::sample::select(vec!["*", "+", "?", "*?", "{2}", "{0,2}", "{1,}?"]);
        let opening = prop::sample::select(vec!["(", "(?:", "(?i:", "(?s-i:"]);
        let grouped = (opening, inner.clone()).prop_map(|(opening, inner)| format!("{opening}{inner})"));
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|parts| parts.concat()),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.join("|")),
            grouped.clone(),
            (grouped, suffix).prop_map(|(grouped, suffix)| format!("{grouped}{suffix}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn what_is_accepted_matches_its_own_names_and_no_others(pattern in prop_oneof![junk(), complete()]) {
        check(&pattern)?;
    }
}
