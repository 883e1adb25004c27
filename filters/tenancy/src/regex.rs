//! Regular expressions of clients, wrapped so that they match nothing but names with the tenant's prefix.
//!
//! Brokers use RE2/J and want a pattern to match the whole physical name. `R` becomes `acme\.(?:R)`, which holds only when `R`
//! is complete in itself: unchecked, `x)|(?:.*` would leave the group. `regex-syntax` is not RE2, so what is accepted is what
//! both read alike; the rest is refused. That is decided on the parsed pattern and, where spellings differ, on its text.

use regex_syntax::ast::parse::ParserBuilder;
use regex_syntax::ast::{
    AssertionKind, Ast, ClassSet, ClassSetItem, Flag, Flags, FlagsItemKind, Group, GroupKind, HexLiteralKind, Literal,
    LiteralKind, Repetition, RepetitionKind, RepetitionRange, Span, SpecialLiteralKind,
};

/// Longest pattern of a client.
const PATTERN_BYTES_MAX: usize = 4096;
/// Deepest nesting: bounds the recursion here and in the broker.
const NESTING_MAX: u32 = 50;
/// RE2's own bound on a count, and on the product of counts around each other.
const COUNT_MAX: u32 = 1000;
/// How much a pattern may come to when its counts are written out. RE2/J has no bound, the broker tries every topic's name,
/// and RE2/J recurses through all that can match nothing: `(.?){1000}` twice overflows a thread's stack (RE2/J 1.8, 1 MiB;
/// measured with what the constants below count, that happens from 13 000 on).
const STEPS_MAX: u32 = 5_000;
/// Steps of a choice: an alternative, one more or one less of something, nothing at all.
const CHOICE_STEPS: u32 = 2;
/// Steps of a capturing group.
const CAPTURE_STEPS: u32 = 6;
/// Longest string that every version of the protocol can carry.
const WRAPPED_BYTES_MAX: usize = 32_767;

/// What means something outside of brackets, and would mean it if it stood there unescaped.
const SYNTAX: &str = r"\.+*?()|[]{}^$";

/// The RE2 pattern that matches, as a whole, exactly `prefix` followed by what `pattern` matches as a whole. `None` when the
/// pattern is refused (INVALID_REGULAR_EXPRESSION).
pub(crate) fn wrap(prefix: &str, pattern: &str) -> Option<String> {
    let mut wrapped = opening(prefix);
    let mut at = 0;
    for anchor in redundant_anchors(pattern)? {
        wrapped.push_str(pattern.get(at..anchor.start.offset)?);
        at = anchor.end.offset;
    }
    wrapped.push_str(pattern.get(at..)?);
    wrapped.push(')');
    (wrapped.len() <= WRAPPED_BYTES_MAX).then_some(wrapped)
}

/// The pattern inside of one that [`wrap`] has made, without the anchors that it had at its start.
pub(crate) fn unwrap<'a>(prefix: &str, wrapped: &'a str) -> Option<&'a str> {
    let pattern = wrapped.strip_prefix(&opening(prefix))?.strip_suffix(')')?;
    // `x)|(?:y` looks wrapped, too.
    (wrap(prefix, pattern)? == wrapped).then_some(pattern)
}

/// What comes before the client's pattern.
fn opening(prefix: &str) -> String {
    let mut text = String::with_capacity(prefix.len().saturating_add(8));
    for c in prefix.chars() {
        if c.is_ascii_punctuation() && !matches!(c, '-' | '_') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push_str("(?:");
    text
}

/// Checks the pattern and finds the anchors that a whole match makes redundant and that could not hold behind a prefix.
fn redundant_anchors(pattern: &str) -> Option<Vec<Span>> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return None;
    }
    let ast = ParserBuilder::new().nest_limit(NESTING_MAX).build().parse(pattern).ok()?;
    let mut subset = Subset { pattern, anchors: Vec::new() };
    let steps = subset.steps(&ast, Place { first: true, last: true, counts: COUNT_MAX })?;
    (steps <= STEPS_MAX).then_some(subset.anchors)
}

/// Where a part of the pattern stands.
#[derive(Clone, Copy)]
struct Place {
    /// A match of it can begin nowhere but at the start.
    first: bool,
    /// A match of it can end nowhere but at the end.
    last: bool,
    /// By how much it may be repeated.
    counts: u32,
}

/// The walk that lets pass what RE2 and `regex-syntax` read alike. Every method gives `None` for anything else.
struct Subset<'p> {
    pattern: &'p str,
    /// Anchors at the start, in order.
    anchors: Vec<Span>,
}

impl Subset<'_> {
    /// Checks a part and tells what it comes to when its counts are written out.
    fn steps(&mut self, ast: &Ast, place: Place) -> Option<u32> {
        match ast {
            Ast::Dot(_) | Ast::ClassPerl(_) => Some(1),
            Ast::Empty(_) => Some(CHOICE_STEPS),
            Ast::Flags(set) => are_shared(&set.flags).then_some(1),
            Ast::Literal(literal) => self.is_literal(literal, SYNTAX).then_some(1),
            Ast::Assertion(assertion) => match assertion.kind {
                AssertionKind::StartLine | AssertionKind::StartText if place.first => {
                    self.anchors.push(assertion.span);
                    Some(CHOICE_STEPS)
                }
                AssertionKind::EndLine | AssertionKind::EndText if place.last => Some(CHOICE_STEPS),
                _ => None,
            },
            Ast::ClassBracketed(class) => match &class.kind {
                ClassSet::Item(item) => self.class(item),
                // `&&`, `--`, `~~` are plain characters in RE2.
                ClassSet::BinaryOp(_) => None,
            },
            Ast::ClassUnicode(_) => None,
            Ast::Repetition(repetition) => self.repetition(repetition, place.counts),
            Ast::Group(group) => {
                let inside = is_shared(group).then(|| self.steps(&group.ast, place))??;
                Some(if group.is_capturing() { inside.saturating_add(CAPTURE_STEPS) } else { inside })
            }
            Ast::Alternation(alternation) => alternation.asts.iter().try_fold(0u32, |sum, ast| {
                Some(sum.saturating_add(self.steps(ast, place)?).saturating_add(CHOICE_STEPS))
            }),
            Ast::Concat(concat) => self.concat(&concat.asts, place),
        }
    }

    fn concat(&mut self, asts: &[Ast], place: Place) -> Option<u32> {
        let first = asts.iter().position(|ast| !is_nothing(ast, AssertionKind::StartLine, AssertionKind::StartText));
        let last = asts.iter().rposition(|ast| !is_nothing(ast, AssertionKind::EndLine, AssertionKind::EndText));
        let mut sum = 0u32;
        for (at, ast) in asts.iter().enumerate() {
            let place = Place {
                first: place.first && first.is_none_or(|first| at <= first),
                last: place.last && last.is_none_or(|last| at >= last),
                ..place
            };
            sum = sum.saturating_add(self.steps(ast, place)?);
        }
        Some(sum)
    }

    fn repetition(&mut self, repetition: &Repetition, counts: u32) -> Option<u32> {
        // RE2 refuses `a**`.
        if matches!(*repetition.ast, Ast::Repetition(_)) {
            return None;
        }
        let (spelling, count, choice) = match &repetition.op.kind {
            RepetitionKind::ZeroOrOne => ("?".to_owned(), 1, CHOICE_STEPS),
            RepetitionKind::ZeroOrMore => ("*".to_owned(), 1, CHOICE_STEPS),
            RepetitionKind::OneOrMore => ("+".to_owned(), 1, CHOICE_STEPS),
            RepetitionKind::Range(RepetitionRange::Exactly(n)) => (format!("{{{n}}}"), *n, 0),
            RepetitionKind::Range(RepetitionRange::AtLeast(n)) => (format!("{{{n},}}"), *n, CHOICE_STEPS),
            RepetitionKind::Range(RepetitionRange::Bounded(n, m)) => (format!("{{{n},{m}}}"), *m, CHOICE_STEPS),
        };
        // `{ 2 }`, `{02}` and `{,2}` are plain characters in RE2.
        let lazy = if repetition.greedy { "" } else { "?" };
        if self.text(&repetition.op.span)?.strip_suffix(lazy)? != spelling {
            return None;
        }
        let count = count.max(1);
        let counts = counts.checked_div(count).filter(|left| *left > 0)?;
        // What is repeated stands at no end.
        let steps = self.steps(&repetition.ast, Place { first: false, last: false, counts })?;
        Some(steps.saturating_add(choice).saturating_mul(count).saturating_add(CHOICE_STEPS))
    }

    fn class(&self, item: &ClassSetItem) -> Option<u32> {
        let items = match item {
            ClassSetItem::Union(union) => union.items.as_slice(),
            item => core::slice::from_ref(item),
        };
        let last = items.len().saturating_sub(1);
        let is_shared = |(at, item): (usize, &ClassSetItem)| match item {
            ClassSetItem::Ascii(_) | ClassSetItem::Perl(_) => true,
            ClassSetItem::Range(range) => {
                self.is_literal(&range.start, r"[]\-") && self.is_literal(&range.end, r"[]\-")
            }
            // In the middle `-` may make a range in one and not in the other; `]` can stand only in front.
            ClassSetItem::Literal(literal) if at == 0 => self.is_literal(literal, r"[\"),
            ClassSetItem::Literal(literal) if at == last => self.is_literal(literal, r"[]\"),
            ClassSetItem::Literal(literal) => self.is_literal(literal, r"[]\-"),
            ClassSetItem::Empty(_) | ClassSetItem::Unicode(_) | ClassSetItem::Bracketed(_) | ClassSetItem::Union(_) => {
                false
            }
        };
        items.iter().enumerate().all(is_shared).then(|| u32::try_from(items.len()).unwrap_or(u32::MAX))
    }

    /// A character that both read alike, none of `syntax` unless it is escaped.
    fn is_literal(&self, literal: &Literal, syntax: &str) -> bool {
        match &literal.kind {
            LiteralKind::Verbatim => !syntax.contains(literal.c),
            LiteralKind::Meta | LiteralKind::Superfluous => literal.c.is_ascii_punctuation(),
            LiteralKind::HexFixed(HexLiteralKind::X) => true,
            LiteralKind::HexBrace(HexLiteralKind::X) => {
                let text = self.text(&literal.span).unwrap_or_default();
                let digits = text.strip_prefix(r"\x{").and_then(|text| text.strip_suffix('}'));
                digits.is_some_and(|digits| digits.len() <= 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            }
            LiteralKind::Special(kind) => *kind != SpecialLiteralKind::Space,
            // `\141`, `\u0041` and their like.
            LiteralKind::Octal | LiteralKind::HexFixed(_) | LiteralKind::HexBrace(_) => false,
        }
    }

    fn text(&self, span: &Span) -> Option<&str> {
        self.pattern.get(span.start.offset..span.end.offset)
    }
}

/// True for what takes no room: flags, and one of these anchors.
fn is_nothing(ast: &Ast, line: AssertionKind, text: AssertionKind) -> bool {
    match ast {
        Ast::Empty(_) | Ast::Flags(_) => true,
        Ast::Assertion(assertion) => assertion.kind == line || assertion.kind == text,
        _ => false,
    }
}

/// Groups that both know; RE2/J has learnt `(?<name>` late.
fn is_shared(group: &Group) -> bool {
    match &group.kind {
        GroupKind::CaptureIndex(_) => true,
        GroupKind::CaptureName { starts_with_p, name } => {
            *starts_with_p && name.name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        }
        GroupKind::NonCapturing(flags) => are_shared(flags),
    }
}

/// Flags that mean the same in both and leave the syntax and the anchors as they are.
fn are_shared(flags: &Flags) -> bool {
    flags.items.iter().all(|item| match &item.kind {
        FlagsItemKind::Negation => true,
        FlagsItemKind::Flag(flag) => {
            matches!(flag, Flag::CaseInsensitive | Flag::DotMatchesNewLine | Flag::SwapGreed)
        }
    })
}

#[cfg(test)]
mod tests {
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
            longest =
                longest.iter().flat_map(|name| ['a', 'b', 'A', '.', '\n'].map(|c| format!("{name}{c}"))).collect();
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
}
