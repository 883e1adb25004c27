//! Definitions joined with corrections: what the tables say.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use crate::corrections::{Corrections, Entity, Lookup};
use crate::definition::{self, Kind, Message, Range};

/// Structs inside structs; Kafka's deepest message has five.
const DEPTH_MAX: usize = 16;

/// Everything that is generated.
pub struct Tables {
    /// By key.
    pub apis: Vec<Api>,
    pub blobs: Vec<Blob>,
}

/// One API.
pub struct Api {
    pub key: i16,
    pub name: String,
    pub versions: Range,
    pub flexible: Option<Range>,
    pub request: Vec<Field>,
    pub response: Vec<Field>,
}

/// A message inside opaque bytes.
pub struct Blob {
    pub name: String,
    pub versions: Range,
    pub fields: Vec<Field>,
}

/// A field with closed ranges, each inside that of the struct around it.
#[derive(Debug)]
pub struct Field {
    pub name: String,
    pub kind: Kind,
    pub array: bool,
    pub versions: Range,
    pub nullable: Option<Range>,
    pub tagged: Option<(u32, Range)>,
    pub entity: Entity,
    pub fields: Vec<Field>,
}

impl Tables {
    /// Joins the `definitions`, by file name, with the `corrections`.
    pub fn build(definitions: &BTreeMap<String, String>, corrections: &Corrections) -> Result<Tables> {
        let mut lookup = corrections.lookup()?;
        let mut messages = BTreeMap::new();
        for (file, text) in definitions {
            // Headers and records are no part of the tables.
            let name = file.trim_end_matches(".json");
            let blob = corrections.blobs.messages.iter().any(|blob| blob == name);
            if !blob && !name.ends_with("Request") && !name.ends_with("Response") {
                continue;
            }
            let message = definition::message(file, text)?;
            messages.insert(message.name.clone(), message);
        }

        let mut apis = Vec::new();
        for request in messages.values().filter(|message| message.listeners.contains(&corrections.apis.listener)) {
            let name =
                request.name.strip_suffix("Request").with_context(|| format!("{} is no request", request.name))?;
            if corrections.apis.without.contains_key(name) {
                lookup.left_out(name);
                continue;
            }
            let response =
                messages.get(&format!("{name}Response")).with_context(|| format!("{name}Response is missing"))?;
            apis.extend(api(name, request, response, &mut lookup)?);
        }
        apis.sort_by_key(|api| api.key);
        for pair in apis.windows(2) {
            if let [a, b] = pair {
                ensure!(a.key != b.key, "{} and {} have the same key {}", a.name, b.name, a.key);
            }
        }

        let mut blobs = Vec::new();
        for name in &corrections.blobs.messages {
            let message = messages.get(name).with_context(|| format!("{name} is missing"))?;
            let versions = message.versions.with_context(|| format!("{name} has no version"))?;
            ensure!(message.flexible.is_none(), "{name} is flexible, which no blob was so far");
            let mut fields = message.fields.clone();
            let fields = resolve(name, &mut fields, versions, None, &mut lookup, 0)?;
            blobs.push(Blob { name: name.clone(), versions, fields });
        }

        lookup.finish()?;
        Ok(Tables { apis, blobs })
    }

    /// How much there is, for a person who regenerates.
    pub fn summary(&self) -> String {
        fn count(fields: &[Field]) -> usize {
            fields.iter().map(|field| 1 + count(&field.fields)).sum()
        }
        let fields: usize = self.apis.iter().map(|api| count(&api.request) + count(&api.response)).sum();
        format!("{} APIs, {fields} fields", self.apis.len())
    }
}

fn api(name: &str, request: &Message, response: &Message, lookup: &mut Lookup) -> Result<Option<Api>> {
    let key = request.api_key.with_context(|| format!("{}: no apiKey", request.name))?;
    ensure!(response.api_key == Some(key), "{name}: request and response differ in apiKey");
    ensure!(response.versions == request.versions, "{name}: request and response differ in validVersions");
    ensure!(response.flexible == request.flexible, "{name}: request and response differ in flexibleVersions");
    // A removed API keeps its definition with `validVersions: none`.
    let Some(defined) = request.versions else { return Ok(None) };

    let oldest = lookup.oldest(name);
    ensure!(oldest.is_none_or(|oldest| oldest < defined.min), "{name}: its oldest version is {} anyway", defined.min);
    let versions = Range { min: oldest.unwrap_or(defined.min), max: defined.max };
    ensure!(versions.max < i16::MAX, "{name}: validVersions has no end");
    let flexible = request.flexible.and_then(|flexible| flexible.intersect(versions));
    let mut body = |message: &Message| {
        let mut fields = message.fields.clone();
        resolve(&message.name, &mut fields, versions, flexible, lookup, 0)
    };
    Ok(Some(Api { key, name: name.to_owned(), versions, flexible, request: body(request)?, response: body(response)? }))
}

/// Closes the ranges of `fields`, the list of the struct or message at `path`, and gives each its entity.
/// A field outside of `versions` is left out.
fn resolve(
    path: &str,
    fields: &mut Vec<definition::Field>,
    versions: Range,
    flexible: Option<Range>,
    lookup: &mut Lookup,
    depth: usize,
) -> Result<Vec<Field>> {
    ensure!(depth < DEPTH_MAX, "{path}: nested more than {DEPTH_MAX} deep");
    lookup.add_fields(path, fields)?;
    let mut resolved: Vec<Field> = Vec::new();
    for field in fields {
        let path = format!("{path}.{}", field.name);
        let Some(versions) = field.versions.intersect(versions) else { continue };
        let tagged = match field.tagged {
            Some((tag, range)) => range.intersect(versions).map(|range| (tag, range)),
            None => None,
        };
        if let Some((tag, range)) = tagged {
            let inside = flexible.is_some_and(|flexible| flexible.covers(range));
            ensure!(inside, "{path}: tagged in {range}, which is not all flexible");
            let taken = resolved.iter().find(|other| {
                other.tagged.is_some_and(|(other, versions)| other == tag && versions.intersect(range).is_some())
            });
            if let Some(other) = taken {
                bail!("{path}: {} has tag {tag} too", other.name);
            }
        }
        let entity = lookup.entity(&path, field)?;
        resolved.push(Field {
            name: field.name.clone(),
            kind: field.kind,
            array: field.array,
            versions,
            nullable: field.nullable.and_then(|nullable| nullable.intersect(versions)),
            tagged,
            entity,
            fields: resolve(&path, &mut field.fields, versions, flexible, lookup, depth + 1)?,
        });
    }
    Ok(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CORRECTIONS: &str = r#"{
        "about": [],
        "apis": { "about": "", "listener": "broker", "without": {} },
        "blobs": { "about": "", "messages": [] },
        "oldestVersions": { "about": "", "apis": { "Fetch": 0 } },
        "addedFields": { "about": "", "fields": [
            { "within": "FetchRequest.Topics", "after": "Name",
              "field": { "name": "Old", "type": "int32", "versions": "0-1" } } ] },
        "entities": { "about": [],
            "rules": [ { "entity": "errorCode", "type": "int16", "names": ["ErrorCode"] } ],
            "fields": [ { "entity": "groupId", "paths": ["FetchRequest.Id"] } ] }
    }"#;

    const REQUEST: &str = r#"{ "apiKey": 1, "type": "request", "listeners": ["broker"], "name": "FetchRequest",
        "validVersions": "4-18", "flexibleVersions": "12+", "fields": [
            { "name": "Id", "type": "string", "versions": "3+", "nullableVersions": "0+" },
            { "name": "Topics", "type": "[]T", "versions": "2-16", "fields": [
                { "name": "Name", "type": "string", "versions": "0+", "entityType": "topicName" },
                { "name": "Partition", "type": "int32", "versions": "0+" } ] } ] }"#;

    const RESPONSE: &str = r#"{ "apiKey": 1, "type": "response", "name": "FetchResponse",
        "validVersions": "4-18", "flexibleVersions": "12+", "fields": [
            { "name": "ErrorCode", "type": "int16", "versions": "0+" },
            { "name": "Never", "type": "int16", "versions": "19+" },
            { "name": "Hint", "type": "int32", "versions": "12+", "tag": 0, "taggedVersions": "12+" } ] }"#;

    fn build(corrections: &str, request: &str, response: &str) -> Result<Tables> {
        let definitions = [("FetchRequest.json", request), ("FetchResponse.json", response)]
            .map(|(file, text)| (file.to_owned(), text.to_owned()));
        Tables::build(&BTreeMap::from(definitions), &Corrections::parse(corrections)?)
    }

    fn error(corrections: &str, request: &str, response: &str) -> String {
        match build(corrections, request, response) {
            Ok(_) => panic!("must be refused"),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn ranges_end_with_the_api_and_stay_inside_their_struct() {
        let tables = build(CORRECTIONS, REQUEST, RESPONSE).unwrap();
        let api = &tables.apis[0];
        assert_eq!((api.key, api.name.as_str()), (1, "Fetch"));
        assert_eq!(api.versions, Range { min: 0, max: 18 });
        assert_eq!(api.flexible, Some(Range { min: 12, max: 18 }));
        assert_eq!(api.request[0].nullable, Some(Range { min: 3, max: 18 }));
        assert_eq!(api.request[1].fields[0].versions, Range { min: 2, max: 16 });
        assert_eq!(api.response.len(), 2, "a field of no version is left out");
        assert_eq!(api.response[1].tagged, Some((0, Range { min: 12, max: 18 })));
    }

    #[test]
    fn a_dropped_field_takes_its_place_only_where_a_version_is_left() {
        // `Old` ends with version 1, its struct starts with version 2.
        let tables = build(CORRECTIONS, REQUEST, RESPONSE).unwrap();
        assert_eq!(tables.apis[0].request[1].fields.len(), 2);

        let tables = build(CORRECTIONS, &REQUEST.replace("2-16", "0+"), RESPONSE).unwrap();
        let names: Vec<&str> = tables.apis[0].request[1].fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["Name", "Old", "Partition"]);
    }

    #[test]
    fn entities_come_from_the_path_then_kafka_then_the_rules() {
        let tables = build(CORRECTIONS, REQUEST, RESPONSE).unwrap();
        let api = &tables.apis[0];
        assert_eq!(api.request[0].entity, Entity::GroupId);
        assert_eq!(api.request[1].fields[0].entity, Entity::TopicName);
        assert_eq!(api.response[0].entity, Entity::ErrorCode);
    }

    #[test]
    fn a_correction_that_matches_nothing_is_refused() {
        let stale = CORRECTIONS.replace("\"ErrorCode\"", "\"ErrorCode\", \"Gone\"");
        assert!(error(&stale, REQUEST, RESPONSE).contains("entity rule Gone int16"));

        let stale = CORRECTIONS.replace("FetchRequest.Id", "FetchRequest.Gone");
        assert!(error(&stale, REQUEST, RESPONSE).contains("entity of FetchRequest.Gone"));
    }

    #[test]
    fn a_correction_that_says_what_holds_anyway_is_refused() {
        let idle = CORRECTIONS.replace(
            "\"groupId\", \"paths\": [\"FetchRequest.Id\"]",
            "\"topicName\", \"paths\": [\"FetchRequest.Topics.Name\"]",
        );
        assert!(error(&idle, REQUEST, RESPONSE).contains("it is TopicName without it"));

        let idle = CORRECTIONS.replace("\"Fetch\": 0", "\"Fetch\": 4");
        assert!(error(&idle, REQUEST, RESPONSE).contains("oldest version is 4 anyway"));
    }

    #[test]
    fn a_contradiction_names_the_field() {
        let port = REQUEST.replace("\"topicName\"", "\"producerId\"");
        assert!(
            error(CORRECTIONS, &port, RESPONSE).contains("FetchRequest.Topics.Name: ProducerId cannot be a String")
        );

        let unknown = REQUEST.replace("\"topicName\"", "\"galaxy\"");
        assert!(error(CORRECTIONS, &unknown, RESPONSE).contains("unknown entity `galaxy`"));

        let early = RESPONSE
            .replace("\"taggedVersions\": \"12+\"", "\"taggedVersions\": \"11+\"")
            .replace("\"versions\": \"12+\"", "\"versions\": \"11+\"");
        assert!(error(CORRECTIONS, REQUEST, &early).contains("FetchResponse.Hint: tagged in 11-18"));

        let other = RESPONSE.replace("4-18", "4-17");
        assert!(error(CORRECTIONS, REQUEST, &other).contains("Fetch: request and response differ in validVersions"));
    }
}
