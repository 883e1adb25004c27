//! Kafka's `ssl.principal.mapping.rules`: `RULE:pattern/replacement/[LU]` and `DEFAULT`, separated by commas.
//!
//! A pattern has to match the whole name, as in Kafka (`SslPrincipalMapper`). Two things differ: patterns are those of Rust's
//! `regex`, which knows no look-around and no back references and needs linear time; and the replacement is the result, where
//! Java replaces every further match, too (`.*` matches once more, at the end).

use regex_lite::{Captures, Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// Longest text of all rules. Bytes.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// Memory of one compiled pattern: bounds the time that it takes to match a name. Bytes.
const PATTERN_MEMORY_MAX: usize = 256 << 10;

/// What makes a principal of the name in a client's certificate: the first rule that fits.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MappingRules {
    text: String,
    rules: Vec<Rule>,
}

/// Rules are what they are written as.
impl PartialEq for MappingRules {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for MappingRules {}

#[derive(Clone, Debug)]
enum Rule {
    /// The name as it is.
    Default,
    Replace {
        pattern: Regex,
        replacement: Vec<Part>,
        case: Case,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// What a group of the pattern has matched; 0 is all of it.
    Group(usize),
}

#[derive(Clone, Copy, Debug)]
enum Case {
    Kept,
    Lower,
    Upper,
}

impl Default for MappingRules {
    fn default() -> Self {
        MappingRules { text: "DEFAULT".to_owned(), rules: vec![Rule::Default] }
    }
}

impl From<MappingRules> for String {
    fn from(rules: MappingRules) -> Self {
        rules.text
    }
}

impl TryFrom<String> for MappingRules {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(format!("{} bytes of rules; at most {TEXT_BYTES_MAX} are allowed", text.len()));
        }
        let mut rules = Vec::new();
        let mut rest = text.as_str();
        loop {
            // As in Kafka, empty rules are none.
            rest = rest.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
            if rest.is_empty() {
                break;
            }
            let (rule, behind) =
                Rule::parse(rest).map_err(|reason| format!("rule {}: {reason}", rules.len().saturating_add(1)))?;
            rules.push(rule);
            rest = behind;
        }
        // Kafka's default for no rules at all.
        if rules.is_empty() {
            rules.push(Rule::Default);
        }
        Ok(MappingRules { text, rules })
    }
}

impl MappingRules {
    /// The principal of whoever has this name, by the first rule that fits.
    pub(super) fn apply(&self, name: &str) -> Option<String> {
        self.rules.iter().find_map(|rule| rule.apply(name))
    }
}

impl Rule {
    /// The first rule of `text`, and what is behind it.
    fn parse(text: &str) -> Result<(Rule, &str), String> {
        let (rule, behind) = match (text.strip_prefix("DEFAULT"), text.strip_prefix("RULE:")) {
            (Some(behind), _) => (Rule::Default, behind),
            (None, Some(text)) => Rule::replace(text)?,
            (None, None) => {
                let start: String = text.chars().take(20).collect();
                return Err(format!("'{start}' begins neither as DEFAULT nor as RULE:pattern/replacement/"));
            }
        };
        let behind = behind.trim_start();
        if !behind.is_empty() && !behind.starts_with(',') {
            let start: String = behind.chars().take(20).collect();
            return Err(format!("'{start}' follows it; a comma must be between two rules"));
        }
        Ok((rule, behind))
    }

    /// What follows `RULE:`.
    fn replace(text: &str) -> Result<(Rule, &str), String> {
        const FORM: &str = "has no '/' behind";
        let (pattern, text) =
            until_slash(text).ok_or(format!("{FORM} its pattern; write RULE:pattern/replacement/"))?;
        let (replacement, text) =
            until_slash(text).ok_or(format!("{FORM} its replacement; write RULE:pattern/replacement/"))?;
        let (case, behind) = match (text.strip_prefix('L'), text.strip_prefix('U')) {
            (Some(behind), _) => (Case::Lower, behind),
            (None, Some(behind)) => (Case::Upper, behind),
            (None, None) => (Case::Kept, text),
        };
        // By itself first: `a)|(b` is no pattern, although it would be one inside of a group.
        let whole = compile(pattern).and_then(|_| compile(&format!("^(?:{pattern})$")));
        let pattern = whole.map_err(|error| format!("its pattern '{pattern}' is not good: {error}"))?;
        let replacement = parts(replacement, pattern.captures_len()).ok_or(format!(
            "its replacement '{replacement}' has a '$' without a number behind it; write '\\$' for the character"
        ))?;
        Ok((Rule::Replace { pattern, replacement, case }, behind))
    }

    fn apply(&self, name: &str) -> Option<String> {
        let Rule::Replace { pattern, replacement, case } = self else { return Some(name.to_owned()) };
        let groups = pattern.captures(name)?;
        let principal: String = replacement.iter().map(|part| part.text(&groups)).collect();
        Some(match case {
            Case::Kept => principal,
            Case::Lower => principal.to_lowercase(),
            Case::Upper => principal.to_uppercase(),
        })
    }
}

impl Part {
    fn text<'t>(&'t self, groups: &Captures<'t>) -> &'t str {
        match self {
            Part::Text(text) => text,
            Part::Group(number) => groups.get(*number).map_or("", |group| group.as_str()),
        }
    }
}

fn compile(pattern: &str) -> Result<Regex, regex_lite::Error> {
    RegexBuilder::new(pattern).size_limit(PATTERN_MEMORY_MAX).build()
}

/// What is before and behind the first `/` that has no `\` before it.
fn until_slash(text: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    let is_end = |c: char| {
        let end = c == '/' && !escaped;
        escaped = c == '\\' && !escaped;
        end
    };
    let at = text.find(is_end)?;
    Some((text.get(..at)?, text.get(at.checked_add(1)?..)?))
}

/// The parts of a replacement for a pattern with so many groups, 0 included. `$n` is a group if there is one, else text; `\`
/// stands before a character that means itself.
fn parts(replacement: &str, groups: usize) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut chars = replacement.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.extend(chars.next()),
            '$' => {
                let mut digits = String::new();
                while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                    digits.push(digit);
                }
                if digits.is_empty() {
                    return None;
                }
                match digits.parse::<usize>().ok().filter(|number| *number < groups) {
                    Some(number) => {
                        parts.push(Part::Text(core::mem::take(&mut text)));
                        parts.push(Part::Group(number));
                    }
                    None => {
                        text.push('$');
                        text.push_str(&digits);
                    }
                }
            }
            c => text.push(c),
        }
    }
    parts.push(Part::Text(text));
    Some(parts)
}

#[cfg(test)]
mod tests;
