//! Filters that only tests want.

use bifrost_core::edits::Edits;
use bifrost_core::fault::Fault;
use bifrost_core::filter::{Direction, Filter, FilterConfig, Message, Plan};
use bifrost_core::host::Host;
use bifrost_core::protocol::{Api, ApiKey, VersionRange, api};
use bifrost_core::walker::Event;

/// Looks at every message as `0` says and changes nothing.
pub struct Observer(pub Plan);

impl FilterConfig for Observer {
    fn supported(&self, key: ApiKey) -> Option<VersionRange> {
        api(key).map(|api| api.versions)
    }

    fn plan(&self, _: &'static Api, _: i16, _: Direction) -> Plan {
        self.0
    }

    fn connect(&self) -> Box<dyn Filter> {
        Box::new(Idle)
    }
}

/// Understands only these versions of these APIs.
pub struct Only(pub Vec<(ApiKey, VersionRange)>);

impl FilterConfig for Only {
    fn supported(&self, key: ApiKey) -> Option<VersionRange> {
        self.0.iter().find(|(known, _)| *known == key).map(|(_, versions)| *versions)
    }

    fn plan(&self, _: &'static Api, _: i16, _: Direction) -> Plan {
        Plan::Pass
    }

    fn connect(&self) -> Box<dyn Filter> {
        Box::new(Idle)
    }
}

struct Idle;

impl Filter for Idle {
    fn on_event(&mut self, _: &Message, _: &Event<'_>, _: &mut Edits, _: &mut dyn Host) -> Result<(), Fault> {
        Ok(())
    }
}
