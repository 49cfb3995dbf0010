//! Who measured: the resource and the scope of everything that the agent measures itself.

use std::collections::BTreeMap;

use sonde_proto::otlp::common::{InstrumentationScope, any_value};
use sonde_proto::otlp::resource::Resource;

use crate::resource::{HostIdentity, resource, scope};

/// The resource and the scope of the agent's own measurements.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The host and the agent.
    pub resource: Resource,
    /// The agent.
    pub scope: InstrumentationScope,
}

impl Origin {
    /// The origin of what is measured on `host`; `configured` attributes overrule what was detected.
    pub fn new(host: &HostIdentity, configured: &BTreeMap<String, String>) -> Self {
        Origin { resource: resource(host, configured), scope: scope() }
    }

    /// The attributes of the resource as text.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.resource.attributes.iter().filter_map(|attribute| {
            match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
                Some(any_value::Value::StringValue(text)) => Some((attribute.key.as_str(), text.as_str())),
                _ => None,
            }
        })
    }

    /// The value of one attribute of the resource.
    pub fn attribute(&self, key: &str) -> Option<&str> {
        self.attributes().find(|(known, _)| *known == key).map(|(_, value)| value)
    }
}
