//! What the command line makes of a plan: less of it, or other proxies besides.

use anyhow::{Result, bail};

use super::{Plan, What};
use crate::target::{Peer, Target};

/// Stages that compare whole proxies, and not curves or settings of ours.
const OF_PROXIES: &[&str] = &["exchanges", "sizes", "latency", "connections", "large frames", "two workers"];

/// Names of stages or cases, as somebody wrote them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names(Vec<String>);

/// Separated by commas. A comma before a space is part of a name.
pub(crate) fn names(text: &str) -> Result<Names> {
    let mut names = vec![String::new()];
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match names.last_mut() {
            Some(name) if letter != ',' || letters.peek() == Some(&' ') => name.push(letter),
            _ => names.push(String::new()),
        }
    }
    if names.iter().any(String::is_empty) {
        bail!("a name is empty");
    }
    Ok(Names(names))
}

impl Plan {
    /// Only these stages and cases.
    pub(crate) fn part(mut self, stages: Option<&Names>, cases: Option<&Names>) -> Result<Self> {
        if let Some(Names(wanted)) = stages {
            known("stage", wanted, self.stages.iter().map(|stage| stage.name.to_owned()))?;
            self.stages.retain(|stage| wanted.iter().any(|name| name == stage.name));
        }
        if let Some(Names(wanted)) = cases {
            let of_all = self.stages.iter().flat_map(|stage| stage.cases.iter().map(|case| case.name.clone()));
            known("case", wanted, of_all)?;
            for stage in &mut self.stages {
                stage.cases.retain(|case| wanted.contains(&case.name));
            }
            self.stages.retain(|stage| !stage.cases.is_empty());
        }
        Ok(self)
    }

    /// Other proxies beside the gateway, wherever proxies are compared.
    pub(crate) fn with_peers(mut self, peers: &[&'static Peer]) -> Self {
        for stage in self.stages.iter_mut().filter(|stage| OF_PROXIES.contains(&stage.name)) {
            stage.targets.extend(peers.iter().copied().map(Target::Peer));
            for case in stage.cases.iter_mut().filter(|case| matches!(case.what, What::LookUp { .. })) {
                // This is about what our gateway has to ask.
                case.without.extend(peers.iter().map(|peer| peer.name.as_str()));
            }
        }
        self
    }

    /// The names that targets have already.
    pub(crate) fn targets(&self) -> Vec<&'static str> {
        self.stages.iter().flat_map(|stage| stage.targets.iter().map(Target::name)).collect()
    }
}

fn known(what: &str, wanted: &[String], names: impl Iterator<Item = String>) -> Result<()> {
    let mut names: Vec<_> = names.collect();
    names.sort();
    names.dedup();
    match wanted.iter().find(|wanted| !names.contains(wanted)) {
        Some(unknown) => bail!("no {what} '{unknown}', there are: {}", names.join(", ")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_named_with_what_is() {
        let error = super::super::full(5).part(Some(&names("exchange").unwrap()), None).err().unwrap().to_string();
        assert!(error.contains("no stage 'exchange'") && error.contains("exchanges"), "{error}");
        let error = super::super::full(5).part(None, Some(&names("ping-pang").unwrap())).err().unwrap().to_string();
        assert!(error.contains("no case 'ping-pang'") && error.contains("ping-pong"), "{error}");
    }

    #[test]
    fn stages_without_a_wanted_case_are_left_out() {
        let plan = super::super::full(5).part(None, Some(&names("start").unwrap())).unwrap();
        assert_eq!(plan.stages.iter().map(|stage| stage.name).collect::<Vec<_>>(), ["connections"]);
    }

    #[test]
    fn a_name_may_hold_a_comma_and_a_space() {
        let of = |text| names(text).unwrap().0;
        assert_eq!(of("start, 20,ping-pong"), ["start, 20", "ping-pong"]);
        assert_eq!(of("a"), ["a"]);
        for text in ["", ",", "a,", ",a", "a,,b"] {
            assert!(names(text).is_err(), "{text}");
        }
    }

    #[test]
    fn stages_that_peers_join_are_there() {
        let plan = super::super::full(5);
        for name in OF_PROXIES {
            assert!(plan.stages.iter().any(|stage| stage.name == *name), "no stage '{name}'");
        }
    }
}
