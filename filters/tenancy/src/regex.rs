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
mod tests;
