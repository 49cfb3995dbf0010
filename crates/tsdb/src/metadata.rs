//! What is known of a metric besides its samples.

/// Type, help and unit of a metric.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Metadata {
    /// The type.
    pub kind: MetricKind,
    /// The help text.
    pub help: String,
    /// The unit, as the source spelled it.
    pub unit: String,
}

impl Metadata {
    /// Bytes of a help text, a unit, and the name of a metric of which something is known: longer texts are cut, longer
    /// names are not known. The store holds all of them in memory.
    pub const MAX_TEXT_BYTES: usize = 4 << 10;

    /// Cuts texts that are too long.
    pub(crate) fn cut(&mut self) {
        for text in [&mut self.help, &mut self.unit] {
            if text.len() > Self::MAX_TEXT_BYTES {
                text.truncate(text.floor_char_boundary(Self::MAX_TEXT_BYTES));
                text.shrink_to_fit();
            }
        }
    }
}

/// The type of a metric, as Prometheus and OpenMetrics name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum MetricKind {
    /// Only grows, apart from resets.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A histogram, classic or native.
    Histogram,
    /// Quantiles that the source computed.
    Summary,
    /// A constant 1 whose labels carry information.
    Info,
    /// A set of booleans.
    StateSet,
    /// Not known.
    #[default]
    Unknown,
}

impl MetricKind {
    /// The name that the Prometheus API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
            MetricKind::Summary => "summary",
            MetricKind::Info => "info",
            MetricKind::StateSet => "stateset",
            MetricKind::Unknown => "unknown",
        }
    }

    /// The byte that stands for the kind on disk.
    pub(crate) fn code(self) -> u8 {
        match self {
            MetricKind::Unknown => 0,
            MetricKind::Counter => 1,
            MetricKind::Gauge => 2,
            MetricKind::Histogram => 3,
            MetricKind::Summary => 4,
            MetricKind::Info => 5,
            MetricKind::StateSet => 6,
        }
    }

    /// The kind of a byte on disk; what a later version wrote is `Unknown` here.
    pub(crate) fn from_code(code: u8) -> Self {
        match code {
            1 => MetricKind::Counter,
            2 => MetricKind::Gauge,
            3 => MetricKind::Histogram,
            4 => MetricKind::Summary,
            5 => MetricKind::Info,
            6 => MetricKind::StateSet,
            _ => MetricKind::Unknown,
        }
    }
}
