//! A YAML document as a tree that knows its lines.
//!
//! `serde-saphyr` reads YAML 1.2 (`no`, `on` and `y` are texts, duplicate keys are errors, aliases are bounded).
//! The tree stands between it and the typed document because variables expand in between and because problems
//! found later, in validation, still need the line of their field.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer, StrDeserializer};
use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use serde::forward_to_deserialize_any;
use serde_saphyr::options::MergeKeyPolicy;
use serde_saphyr::{MessageFormatter as _, Spanned, UserMessageFormatter};

use crate::expand::{Lookup, expand};

/// A value and the line it starts on, from 1.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) line: u64,
    value: Value,
}

#[derive(Debug)]
enum Value {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
    /// Text with variables filled in: it may stand for a number or a bool.
    Expanded(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug)]
struct Entry {
    key: String,
    line: u64,
    value: Node,
}

/// What is wrong at a path of a document: `(path, message)`.
pub(crate) type Finding = (String, String);

/// Reads the documents of one file; empty ones are left out. The error is (line, message).
pub(crate) fn read(text: &str) -> Result<Vec<Node>, (u64, String)> {
    let options = serde_saphyr::options! {
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000 },
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        with_snippet: false,
    };
    let documents: Vec<Node> = serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        (line, UserMessageFormatter.format_message(&error).into_owned())
    })?;
    Ok(documents.into_iter().filter(|node| !matches!(node.value, Value::Null)).collect())
}

impl Node {
    /// Fills in variables in every text value, and says which ones could not be.
    pub(crate) fn expand(&mut self, lookup: Lookup<'_>) -> Vec<Finding> {
        let mut findings = Vec::new();
        self.expand_at("", lookup, &mut findings);
        findings
    }

    fn expand_at(&mut self, path: &str, lookup: Lookup<'_>, findings: &mut Vec<Finding>) {
        match &mut self.value {
            Value::Text(text) => match expand(text, lookup) {
                Ok(Some(expanded)) => self.value = Value::Expanded(expanded),
                Ok(None) => {}
                Err(message) => findings.push((path.to_owned(), message)),
            },
            Value::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    item.expand_at(&format!("{path}[{index}]"), lookup, findings);
                }
            }
            Value::Map(entries) => {
                for entry in entries {
                    let dot = if path.is_empty() { "" } else { "." };
                    entry.value.expand_at(&format!("{path}{dot}{}", entry.key), lookup, findings);
                }
            }
            _ => {}
        }
    }

    /// The typed form, or the path of the first field that does not fit and what would.
    pub(crate) fn typed<T: DeserializeOwned>(&self) -> Result<T, Finding> {
        serde_path_to_error::deserialize(self).map_err(|error| {
            let path = error.path().to_string();
            let path = if path == "." { String::new() } else { path };
            readable(path, &error.into_inner().0)
        })
    }

    /// The text of a field of this mapping.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        let Value::Map(entries) = &self.value else { return None };
        match &entries.iter().find(|entry| entry.key == key)?.value.value {
            Value::Text(text) | Value::Expanded(text) => Some(text),
            _ => None,
        }
    }

    /// The value at `path`.
    pub(crate) fn at(&self, path: &str) -> Option<&Node> {
        let (node, _, is_there) = self.follow(path);
        is_there.then_some(node)
    }

    /// Line of the field at `path`, or of its nearest ancestor that is there.
    pub(crate) fn line_of(&self, path: &str) -> u64 {
        let (_, line, _) = self.follow(path);
        line
    }

    /// The value at `path`, or its nearest ancestor that is there, its line, and whether it is the value itself.
    fn follow(&self, path: &str) -> (&Node, u64, bool) {
        let mut node = self;
        let mut line = self.line;
        for step in path.split(['.', '[']).filter(|step| !step.is_empty()) {
            let next = match &node.value {
                Value::Map(entries) => {
                    entries.iter().find(|entry| entry.key == step).map(|entry| (&entry.value, entry.line))
                }
                Value::List(items) => step
                    .strip_suffix(']')
                    .and_then(|index| index.parse::<usize>().ok())
                    .and_then(|index| items.get(index))
                    .map(|item| (item, item.line)),
                _ => None,
            };
            let Some(found) = next else { return (node, line, false) };
            (node, line) = found;
        }
        (node, line, true)
    }
}

/// Serde's messages in the words of the person who wrote the file.
fn readable(path: String, message: &str) -> Finding {
    let field = |rest: &str| rest.split_once('`').map(|(name, after)| (name.to_owned(), after.to_owned()));
    if let Some((name, after)) = message.strip_prefix("missing field `").and_then(field) {
        let dot = if path.is_empty() { "" } else { "." };
        return (format!("{path}{dot}{name}"), format!("this field is required{after}"));
    }
    if let Some((_, after)) = message.strip_prefix("unknown field `").and_then(field) {
        return (path, format!("unknown field{}", after.replace('`', "")));
    }
    let mut message = message.replace("unknown variant", "unknown value").replace('`', "'");
    for (rust, words) in [
        ("u16", "a whole number from 0 to 65535"),
        ("u32", "a whole number from 0 to 4294967295"),
        ("u64", "a whole number from 0 to 18446744073709551615"),
        ("i32", "a whole number from -2147483648 to 2147483647"),
    ] {
        if let Some(start) = message.strip_suffix(&format!("expected {rust}")) {
            message = format!("{start}expected {words}");
        }
    }
    if let Some((start, _)) = message.split_once("expected struct ") {
        message = format!("{start}expected a mapping");
    }
    (
        path,
        message
            .replace("unit value", "no value")
            .replace("sequence", "list")
            .replace("invalid IP address syntax", "not an IP address; use for example 127.0.0.1, 0.0.0.0 or ::"),
    )
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Node { line: spanned.referenced.line(), value: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Signed(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Unsigned(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let line = key.referenced.line();
            map.push(Entry { key: key.value, line, value: entries.next_value()? });
        }
        Ok(Value::Map(map))
    }
}

/// A message of serde on its way to [`readable`].
#[derive(Debug)]
pub(crate) struct Message(String);

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Message {}

impl serde::de::Error for Message {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Message(message.to_string())
    }
}

impl<'de> IntoDeserializer<'de, Message> for &'de Node {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// Where a number is wanted, text that came out of a variable is read as one.
macro_rules! number {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Message> {
            match &self.value {
                Value::Expanded(text) => match text.trim().parse::<i64>() {
                    Ok(number) => visitor.visit_i64(number),
                    // The text is not shown: variables hold secrets.
                    Err(_) => Err(Message::custom("a whole number is expected, and the variable holds something else")),
                },
                _ => self.deserialize_any(visitor),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Message;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Message> {
        match &self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Signed(value) => visitor.visit_i64(*value),
            Value::Unsigned(value) => visitor.visit_u64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(text) | Value::Expanded(text) => visitor.visit_borrowed_str(text),
            Value::List(items) => SeqDeserializer::new(items.iter()).deserialize_seq(visitor),
            Value::Map(entries) => MapDeserializer::new(entries.iter().map(|entry| (entry.key.as_str(), &entry.value)))
                .deserialize_map(visitor),
        }
    }

    number! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Message> {
        match &self.value {
            Value::Expanded(text) => match text.trim() {
                "true" => visitor.visit_bool(true),
                "false" => visitor.visit_bool(false),
                _ => Err(Message::custom("true or false is expected, and the variable holds something else")),
            },
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Message> {
        match &self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Message> {
        visitor.visit_newtype_struct(self)
    }

    /// Serde would also take a list of the fields' values in the order of the Rust type.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Message> {
        match &self.value {
            Value::List(_) => Err(Message::invalid_type(Unexpected::Seq, &"a mapping")),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Message> {
        match &self.value {
            Value::Text(text) | Value::Expanded(text) => {
                StrDeserializer::new(text).deserialize_enum(name, variants, visitor)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map
        identifier ignored_any
    }
}
