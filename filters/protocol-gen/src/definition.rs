//! One message definition as Kafka writes it: JSON with `//` comments.
//!
//! Source: the README of Kafka's `clients/src/main/resources/common/message`.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result, bail, ensure};
use json_comments::{CommentSettings, StripComments};
use serde::Deserialize;
use serde_json::Value;

/// An inclusive range of versions; `i16::MAX` as `max` is Kafka's open end (`3+`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub min: i16,
    pub max: i16,
}

impl Range {
    /// Parses `5`, `0-12`, `3+`; `none` has no version.
    pub fn parse(text: &str) -> Result<Option<Range>> {
        if text == "none" {
            return Ok(None);
        }
        let number = |text: &str| text.parse::<u8>().map(i16::from).ok();
        let range = if let Some(min) = text.strip_suffix('+') {
            number(min).map(|min| Range { min, max: i16::MAX })
        } else if let Some((min, max)) = text.split_once('-') {
            number(min).zip(number(max)).map(|(min, max)| Range { min, max })
        } else {
            number(text).map(|only| Range { min: only, max: only })
        };
        let range = range.with_context(|| format!("`{text}` is not a range of versions"))?;
        ensure!(range.min <= range.max, "`{text}` is an empty range of versions");
        Ok(Some(range))
    }

    /// The versions in both ranges.
    pub fn intersect(self, other: Range) -> Option<Range> {
        let both = Range { min: self.min.max(other.min), max: self.max.min(other.max) };
        (both.min <= both.max).then_some(both)
    }

    /// True when every version of `other` is inside.
    pub fn covers(self, other: Range) -> bool {
        self.min <= other.min && other.max <= self.max
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (min, i16::MAX) => write!(f, "{min}+"),
            (min, max) if min == max => write!(f, "{min}"),
            (min, max) => write!(f, "{min}-{max}"),
        }
    }
}

/// Wire type of a field or of an array's elements. `Debug` prints the name of the core's `Kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Float64,
    Uuid,
    String,
    Bytes,
    Records,
    Struct,
}

impl Kind {
    /// Kafka's name of a type that is no struct.
    pub fn parse(text: &str) -> Option<Kind> {
        Some(match text {
            "bool" => Kind::Bool,
            "int8" => Kind::Int8,
            "int16" => Kind::Int16,
            "uint16" => Kind::Uint16,
            "int32" => Kind::Int32,
            "uint32" => Kind::Uint32,
            "int64" => Kind::Int64,
            "float64" => Kind::Float64,
            "uuid" => Kind::Uuid,
            "string" => Kind::String,
            "bytes" => Kind::Bytes,
            "records" => Kind::Records,
            _ => return None,
        })
    }
}

/// A field as written: ranges may be open and wider than those of the message.
#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    pub kind: Kind,
    pub array: bool,
    pub versions: Range,
    pub nullable: Option<Range>,
    pub tagged: Option<(u32, Range)>,
    /// Kafka's own annotation.
    pub entity: Option<String>,
    pub fields: Vec<Field>,
}

/// A message as written.
#[derive(Debug)]
pub struct Message {
    /// For instance `FetchRequest`.
    pub name: String,
    pub api_key: Option<i16>,
    /// `None`: Kafka keeps the key but no version of it.
    pub versions: Option<Range>,
    pub flexible: Option<Range>,
    pub listeners: Vec<String>,
    pub fields: Vec<Field>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawMessage {
    name: String,
    #[serde(rename = "type")]
    _role: String,
    api_key: Option<i16>,
    valid_versions: String,
    flexible_versions: Option<String>,
    #[serde(default)]
    listeners: Vec<String>,
    #[serde(default, rename = "latestVersionUnstable")]
    _latest_version_unstable: bool,
    #[serde(default)]
    common_structs: Vec<RawStruct>,
    #[serde(default)]
    fields: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStruct {
    name: String,
    #[serde(rename = "versions")]
    _versions: String,
    fields: Vec<Value>,
}

/// The attributes that shape the wire; those that only speak to Kafka's Java classes are accepted and dropped.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawField {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    versions: String,
    nullable_versions: Option<String>,
    tagged_versions: Option<String>,
    tag: Option<u32>,
    entity_type: Option<String>,
    fields: Option<Vec<Value>>,
    #[serde(rename = "about")]
    _about: Option<String>,
    #[serde(rename = "default")]
    _default: Option<Value>,
    #[serde(rename = "ignorable")]
    _ignorable: Option<bool>,
    #[serde(rename = "mapKey")]
    _map_key: Option<bool>,
    #[serde(rename = "zeroCopy")]
    _zero_copy: Option<bool>,
}

/// Parses the definition in `text`. Every error names `file` and, if it can, the field.
pub fn message(file: &str, text: &str) -> Result<Message> {
    let json = StripComments::with_settings(CommentSettings::c_style(), text.as_bytes());
    let raw: RawMessage = serde_json::from_reader(json).with_context(|| file.to_owned())?;
    let versions = Range::parse(&raw.valid_versions).with_context(|| format!("{file}: validVersions"))?;
    // The very old definitions of removed APIs leave it out; those have no versions.
    let flexible = Range::parse(raw.flexible_versions.as_deref().unwrap_or("none"))
        .with_context(|| format!("{file}: flexibleVersions"))?;
    let common = raw.common_structs.into_iter().map(|common| (common.name, common.fields)).collect();
    let scope = Scope { file, common: &common };
    Ok(Message {
        fields: scope.fields(&raw.name, &raw.fields, &mut Vec::new())?,
        name: raw.name,
        api_key: raw.api_key,
        versions,
        flexible,
        listeners: raw.listeners,
    })
}

/// Parses one field that stands outside of a message, as in the corrections.
pub fn field(file: &str, value: &Value) -> Result<Field> {
    Scope { file, common: &BTreeMap::new() }.field("", value, &mut Vec::new())
}

/// What the fields of one message share.
struct Scope<'a> {
    file: &'a str,
    /// Structs that fields refer to by name (`commonStructs`).
    common: &'a BTreeMap<String, Vec<Value>>,
}

impl Scope<'_> {
    fn fields(&self, path: &str, values: &[Value], open: &mut Vec<String>) -> Result<Vec<Field>> {
        values.iter().map(|value| self.field(path, value, open)).collect()
    }

    /// `path` is that of the struct around the field, `open` the common structs around it.
    fn field(&self, path: &str, value: &Value, open: &mut Vec<String>) -> Result<Field> {
        let name = value.get("name").and_then(Value::as_str).unwrap_or("(unnamed)");
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        self.field_at(&path, value, open).with_context(|| format!("{}: field {path}", self.file))
    }

    fn field_at(&self, path: &str, value: &Value, open: &mut Vec<String>) -> Result<Field> {
        let raw = RawField::deserialize(value)?;
        let array = raw.kind.starts_with("[]");
        let kind_name = raw.kind.trim_start_matches("[]");
        let (kind, fields) = match Kind::parse(kind_name) {
            Some(_) if raw.fields.is_some() => bail!("type `{}` cannot have fields", raw.kind),
            Some(kind) => (kind, Vec::new()),
            None if !kind_name.starts_with(|c: char| c.is_ascii_uppercase()) => {
                bail!("unknown type `{}`", raw.kind)
            }
            None => {
                ensure!(!open.iter().any(|name| name == kind_name), "struct `{kind_name}` contains itself");
                let values = raw
                    .fields
                    .as_ref()
                    .or_else(|| self.common.get(kind_name))
                    .with_context(|| format!("struct `{kind_name}` is defined nowhere"))?;
                open.push(kind_name.to_owned());
                let fields = self.fields(path, values, open)?;
                open.pop();
                (Kind::Struct, fields)
            }
        };

        let versions = Range::parse(&raw.versions).context("versions")?.context("versions: no version")?;
        let nullable = Range::parse(raw.nullable_versions.as_deref().unwrap_or("none")).context("nullableVersions")?;
        let has_null = array || matches!(kind, Kind::String | Kind::Bytes | Kind::Records | Kind::Struct);
        ensure!(nullable.is_none() || has_null, "nullableVersions: `{}` has no null", raw.kind);
        let tagged = Range::parse(raw.tagged_versions.as_deref().unwrap_or("none")).context("taggedVersions")?;
        let tagged = match (raw.tag, tagged) {
            (Some(tag), Some(tagged)) => Some((tag, tagged)),
            (None, None) => None,
            _ => bail!("`tag` and `taggedVersions` need each other"),
        };
        Ok(Field { name: raw.name, kind, array, versions, nullable, tagged, entity: raw.entity_type, fields })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(field: &str) -> Result<Message> {
        let text = format!(
            r#"// A comment.
            {{ "apiKey": 1, "type": "request", "name": "FetchRequest", "validVersions": "4-18", // Another.
               "flexibleVersions": "12+", "fields": [ {field} ] }}"#
        );
        message("FetchRequest.json", &text)
    }

    fn error(field: &str) -> String {
        format!("{:#}", parse(field).expect_err("must be refused"))
    }

    #[test]
    fn comments_are_dropped_but_not_inside_strings() {
        let message = parse(r#"{ "name": "A", "type": "int8", "versions": "0+", "about": "see http://a" }"#).unwrap();
        assert_eq!(message.fields[0].kind, Kind::Int8);
        assert_eq!(message.versions, Some(Range { min: 4, max: 18 }));
    }

    #[test]
    fn ranges_are_read_as_kafka_writes_them() {
        assert_eq!(Range::parse("3+").unwrap(), Some(Range { min: 3, max: i16::MAX }));
        assert_eq!(Range::parse("0-12").unwrap(), Some(Range { min: 0, max: 12 }));
        assert_eq!(Range::parse("7").unwrap(), Some(Range { min: 7, max: 7 }));
        assert_eq!(Range::parse("none").unwrap(), None);
        for bad in ["", "+", "3-", "-1", "4-3", "x", "3 +"] {
            assert!(Range::parse(bad).is_err(), "`{bad}` must be refused");
        }
    }

    #[test]
    fn common_structs_are_put_in_place() {
        let text = r#"{ "type": "data", "name": "M", "validVersions": "0", "flexibleVersions": "none",
            "commonStructs": [{ "name": "S", "versions": "0+", "fields": [
                { "name": "Inner", "type": "int8", "versions": "0+" }]}],
            "fields": [{ "name": "Outer", "type": "[]S", "versions": "0+" }] }"#;
        let message = message("M.json", text).unwrap();
        assert!(message.fields[0].array);
        assert_eq!(message.fields[0].fields[0].name, "Inner");
    }

    #[test]
    fn a_bad_definition_names_its_file_and_field() {
        let nested = r#"{ "name": "Topics", "type": "[]T", "versions": "0+", "fields": [
            { "name": "Partition", "type": "int33", "versions": "0+" }]}"#;
        let message = error(nested);
        assert!(message.contains("FetchRequest.json"), "{message}");
        assert!(message.contains("FetchRequest.Topics.Partition: unknown type `int33`"), "{message}");
    }

    #[test]
    fn what_the_tables_cannot_say_is_refused() {
        let cases = [
            (r#"{ "name": "A", "type": "int8" }"#, "missing field `versions`"),
            (r#"{ "name": "A", "type": "int8", "versions": "x+" }"#, "`x+` is not a range"),
            (r#"{ "name": "A", "type": "int8", "versions": "0+", "flexibleVersions": "none" }"#, "unknown field"),
            (r#"{ "name": "A", "type": "int8", "versions": "0+", "nullableVersions": "0+" }"#, "has no null"),
            (r#"{ "name": "A", "type": "int8", "versions": "0+", "tag": 1 }"#, "need each other"),
            (r#"{ "name": "A", "type": "S", "versions": "0+" }"#, "defined nowhere"),
            (r#"{ "name": "A", "type": "int8", "versions": "0+", "fields": [] }"#, "cannot have fields"),
        ];
        for (field, expected) in cases {
            let message = error(field);
            assert!(message.contains("FetchRequest.A") && message.contains(expected), "{message}");
        }
    }

    #[test]
    fn a_struct_that_contains_itself_is_refused() {
        let text = r#"{ "type": "data", "name": "M", "validVersions": "0", "flexibleVersions": "none",
            "commonStructs": [{ "name": "S", "versions": "0+", "fields": [
                { "name": "Again", "type": "S", "versions": "0+" }]}],
            "fields": [{ "name": "Outer", "type": "S", "versions": "0+" }] }"#;
        let error = format!("{:#}", message("M.json", text).expect_err("endless"));
        assert!(error.contains("M.Outer.Again"), "{error}");
    }
}
