//! The request down to its metrics: resources and scopes.

use super::attributes::attributes_of;
use super::{AttributesView, Messages, MetricView, View, ViewError, set_once};
use crate::wire::{Fields, bytes_key};

/// An encoded `ExportMetricsServiceRequest`.
#[derive(Clone, Copy, Debug)]
pub struct MetricsRequestView<'a>(&'a [u8]);

/// The metrics of one resource.
#[derive(Clone, Copy, Debug)]
pub struct ResourceMetricsView<'a> {
    message: &'a [u8],
    resource: Option<&'a [u8]>,
}

/// Who the metrics are of.
#[derive(Clone, Copy, Debug)]
pub struct ResourceView<'a> {
    /// Its attributes.
    pub attributes: AttributesView<'a>,
}

/// The metrics of one instrumentation scope.
#[derive(Clone, Copy, Debug)]
pub struct ScopeMetricsView<'a> {
    /// The URL of the schema of the scope and its metrics.
    pub schema_url: &'a str,
    message: &'a [u8],
    scope: Option<&'a [u8]>,
}

/// The library that measured.
#[derive(Clone, Copy, Debug)]
pub struct ScopeView<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Its attributes.
    pub attributes: AttributesView<'a>,
}

impl<'a> MetricsRequestView<'a> {
    /// A view of a body. What is in it is proven as it is walked.
    pub fn new(body: &'a [u8]) -> Self {
        MetricsRequestView(body)
    }

    /// The resources with their metrics.
    pub fn resources(&self) -> Messages<'a, ResourceMetricsView<'a>> {
        Messages::new(self.0, 1)
    }
}

impl MetricsRequestView<'_> {
    /// Whether a metric of the request has delta temporality: such requests must be taken in the order in which they
    /// were made.
    pub fn has_deltas(&self) -> Result<bool, ViewError> {
        const DELTA: i32 = 1;
        for resource in self.resources() {
            for scope in resource?.scopes() {
                for metric in scope?.metrics() {
                    if metric?.data.and_then(|data| data.temporality()) == Some(DELTA) {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }
}

impl<'a> View<'a> for ResourceMetricsView<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, ViewError> {
        let mut resource = None;
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field.number {
                1 => set_once(&mut resource, &field)?,
                2 => drop(fields.skip_run(bytes_key(2))?),
                _ => {}
            }
        }
        Ok(ResourceMetricsView { message, resource })
    }
}

impl<'a> ResourceMetricsView<'a> {
    /// The encoded resource: equal bytes mean equal resources.
    pub fn resource_bytes(&self) -> Option<&'a [u8]> {
        self.resource
    }

    /// The resource.
    pub fn resource(&self) -> Result<Option<ResourceView<'a>>, ViewError> {
        let view = |message| Ok(ResourceView { attributes: attributes_of(message, 1)? });
        self.resource.map(view).transpose()
    }

    /// The scopes with their metrics.
    pub fn scopes(&self) -> Messages<'a, ScopeMetricsView<'a>> {
        Messages::new(self.message, 2)
    }
}

impl<'a> View<'a> for ScopeMetricsView<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, ViewError> {
        let (mut scope, mut schema_url) = (None, "");
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field.number {
                1 => set_once(&mut scope, &field)?,
                2 => drop(fields.skip_run(bytes_key(2))?),
                3 => schema_url = field.string()?,
                _ => {}
            }
        }
        Ok(ScopeMetricsView { schema_url, message, scope })
    }
}

impl<'a> ScopeMetricsView<'a> {
    /// The encoded scope: equal bytes mean equal scopes.
    pub fn scope_bytes(&self) -> Option<&'a [u8]> {
        self.scope
    }

    /// The scope.
    pub fn scope(&self) -> Result<Option<ScopeView<'a>>, ViewError> {
        self.scope.map(ScopeView::parse).transpose()
    }

    /// The metrics.
    pub fn metrics(&self) -> Messages<'a, MetricView<'a>> {
        Messages::new(self.message, 2)
    }
}

impl<'a> View<'a> for ScopeView<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, ViewError> {
        let (mut name, mut version) = ("", "");
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field.number {
                1 => name = field.string()?,
                2 => version = field.string()?,
                _ => {}
            }
        }
        Ok(ScopeView { name, version, attributes: attributes_of(message, 3)? })
    }
}
