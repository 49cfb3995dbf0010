//! How names and labels are made. The defaults are those of Prometheus.

/// How OTLP names become metric and label names; the words of Prometheus's `otlp.translation_strategy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Other characters become `_`; units and `_total` are appended.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// Other characters become `_`; nothing is appended.
    UnderscoreEscapingWithoutSuffixes,
    /// Names are kept as they are; units and `_total` are appended.
    NoUtf8EscapingWithSuffixes,
    /// Names are kept as they are.
    NoTranslation,
}

/// Which resource attributes become labels of every series of the resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Promotion {
    /// None: they are found in `target_info`.
    #[default]
    None,
    /// These, by OTLP name.
    Only(Vec<String>),
    /// All but these, by OTLP name.
    AllExcept(Vec<String>),
}

/// The options of a translation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How names are made.
    pub strategy: Strategy,
    /// Keep `a__b` in label names instead of `a_b`.
    pub keep_multiple_underscores: bool,
    /// Put `key` before label names that begin with a single `_`.
    pub sanitize_leading_underscore: bool,
    /// Which resource attributes become labels.
    pub promote_resource_attributes: Promotion,
    /// Whether name, version, schema and attributes of the scope become labels `otel_scope_...`.
    pub promote_scope: bool,
    /// Whether `target_info` is written.
    pub target_info: bool,
    /// Whether `target_info` keeps `service.name`, `service.namespace` and `service.instance.id`.
    pub keep_identifying_resource_attributes: bool,
    /// How far apart `target_info` samples may lie, in milliseconds: half of the lookback of queries.
    pub target_info_interval_ms: i64,
    /// How many labels a series may have; points with more are left out.
    pub max_labels: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            strategy: Strategy::default(),
            keep_multiple_underscores: true,
            sanitize_leading_underscore: true,
            promote_resource_attributes: Promotion::None,
            promote_scope: false,
            target_info: true,
            keep_identifying_resource_attributes: false,
            target_info_interval_ms: 150_000,
            max_labels: 256,
        }
    }
}

impl Strategy {
    /// Whether names are reduced to `[a-zA-Z0-9_:]`.
    pub fn escapes(self) -> bool {
        matches!(self, Strategy::UnderscoreEscapingWithSuffixes | Strategy::UnderscoreEscapingWithoutSuffixes)
    }

    /// Whether units and types are appended to metric names.
    pub fn adds_suffixes(self) -> bool {
        matches!(self, Strategy::UnderscoreEscapingWithSuffixes | Strategy::NoUtf8EscapingWithSuffixes)
    }
}
