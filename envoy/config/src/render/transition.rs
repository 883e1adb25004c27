//! From one set of resources to another, without a moment in which something that is used is missing.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::discovery::{Resource, ResourceKind};

/// What to offer Envoy one after the other, so that it comes from `from` to `to`; the last is `to`.
///
/// Clusters that are no longer wanted go last, because until then their listeners lead connections there. A listener that has
/// a port which another one gets goes before that one comes: Envoy compares each new listener with the old ones and refuses
/// a port that is there twice.
///
/// # Errors
/// A bug: what was rendered is not JSON.
pub fn transition(from: &[Resource], to: &[Resource]) -> Result<Vec<Vec<Resource>>, serde_json::Error> {
    let mut between = to.to_vec();
    for resource in &mut between {
        let Some(old) = from.iter().find(|old| (old.kind, &old.name) == (resource.kind, &resource.name)) else {
            continue;
        };
        let (old, new) = (named(old)?, named(resource)?);
        let members = match resource.kind {
            ResourceKind::Clusters => with_leaving(old, new),
            ResourceKind::Listeners => without_moving(&old, new),
            ResourceKind::Secret | ResourceKind::Filter => continue,
        };
        *resource = Resource::new(resource.kind, resource.name.clone(), &members)?;
    }
    Ok(if between == to { vec![between] } else { vec![between, to.to_vec()] })
}

/// The members of a resource in their order, with their names.
fn named(resource: &Resource) -> Result<Vec<(String, Value)>, serde_json::Error> {
    let members: Vec<Value> = serde_json::from_str(&resource.content)?;
    let name = |member: &Value| member.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(members.into_iter().map(|member| (name(&member), member)).collect())
}

fn with_leaving(old: Vec<(String, Value)>, mut new: Vec<(String, Value)>) -> Vec<Value> {
    let names: HashSet<String> = new.iter().map(|(name, _)| name.clone()).collect();
    new.extend(old.into_iter().filter(|(name, _)| !names.contains(name)));
    new.into_iter().map(|(_, member)| member).collect()
}

fn without_moving(old: &[(String, Value)], new: Vec<(String, Value)>) -> Vec<Value> {
    let had: HashMap<String, &str> =
        old.iter().flat_map(|(name, listener)| sockets(listener).map(move |socket| (socket, name.as_str()))).collect();
    let losers: HashSet<&str> = new
        .iter()
        .flat_map(|(name, listener)| sockets(listener).map(move |socket| (socket, name)))
        .filter_map(|(socket, name)| had.get(&socket).copied().filter(|owner| owner != name))
        .collect();
    new.into_iter().filter(|(name, _)| !losers.contains(name.as_str())).map(|(_, listener)| listener).collect()
}

/// All sockets of a listener, as text.
fn sockets(listener: &Value) -> impl Iterator<Item = String> + '_ {
    let more = listener.get("additional_addresses").and_then(Value::as_array).into_iter().flatten();
    std::iter::once(listener).chain(more).filter_map(|holder| holder.get("address")).map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn clusters(names: &[&str]) -> Resource {
        let members: Vec<Value> = names.iter().map(|name| json!({ "name": name })).collect();
        Resource::new(ResourceKind::Clusters, String::new(), &members).unwrap()
    }

    fn listeners(listeners: &[(&str, &[u16])]) -> Resource {
        let address = |port: &u16| json!({ "socket_address": { "address": "::", "port_value": port } });
        let members: Vec<Value> = listeners
            .iter()
            .map(|(name, ports)| {
                let more: Vec<Value> = ports[1..].iter().map(|port| json!({ "address": address(port) })).collect();
                json!({ "name": name, "address": address(&ports[0]), "additional_addresses": more })
            })
            .collect();
        Resource::new(ResourceKind::Listeners, String::new(), &members).unwrap()
    }

    fn names(resource: &Resource) -> Vec<String> {
        named(resource).unwrap().into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn what_only_comes_or_changes_takes_one_step() {
        let from = [clusters(&["a"]), listeners(&[("a", &[1, 2])])];
        let to = [clusters(&["a", "b"]), listeners(&[("a", &[1, 2, 3]), ("b", &[4])])];
        assert_eq!(transition(&from, &to).unwrap(), [to.to_vec()]);
        assert_eq!(transition(&[], &to).unwrap(), [to.to_vec()]);
    }

    #[test]
    fn clusters_go_after_their_listeners() {
        let from = [clusters(&["a", "b"]), listeners(&[("a", &[1]), ("b", &[2])])];
        let to = [clusters(&["b"]), listeners(&[("b", &[2])])];
        let [between, last] = &transition(&from, &to).unwrap()[..] else { panic!("two steps") };
        assert_eq!((names(&between[0]), names(&between[1])), (vec!["b".into(), "a".into()], vec!["b".into()]));
        assert_eq!(last, &to);
    }

    #[test]
    fn a_listener_gives_its_port_away_before_another_gets_it() {
        let from = [listeners(&[("a", &[1, 2]), ("b", &[11, 12]), ("c", &[21])])];
        let to = [listeners(&[("a", &[3]), ("b", &[2]), ("c", &[21, 22])])];
        let [between, last] = &transition(&from, &to).unwrap()[..] else { panic!("two steps") };
        assert_eq!(names(&between[0]), ["b", "c"]);
        assert_eq!(last, &to);

        let swapped = [listeners(&[("a", &[11, 12]), ("b", &[1, 2]), ("c", &[21])])];
        assert_eq!(names(&transition(&from, &swapped).unwrap()[0][0]), ["c"]);
    }

    #[test]
    fn a_new_name_on_an_old_port_takes_one_step() {
        let (from, to) = ([listeners(&[("a", &[1])])], [listeners(&[("z", &[1])])]);
        assert_eq!(transition(&from, &to).unwrap(), [to.to_vec()]);
    }
}
