//! Limits speak of virtual names, answers of brokers of physical ones.

/// How physical topic names become virtual ones.
#[derive(Clone, Debug, Default)]
pub struct TopicNames {
    /// What physical names of the tenant's own topics begin with.
    pub prefix: String,
    /// Topics outside of the prefix: physical and virtual name.
    pub shared: Vec<(String, String)>,
}

impl TopicNames {
    pub(crate) fn virtual_name<'n>(&'n self, physical: &'n str) -> &'n str {
        match self.shared.iter().find(|(topic, _)| topic == physical) {
            Some((_, shown_as)) => shown_as,
            None => physical.strip_prefix(&self.prefix).unwrap_or(physical),
        }
    }
}
