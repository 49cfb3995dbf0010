//! The columns of an exported Parquet file, and how each is encoded.

use std::sync::Arc;

use parquet::basic::{Compression as Codec, Encoding, ZstdLevel};
use parquet::errors::Result;
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, TypePtr};

/// The schema; `group.rs` writes the columns in this order. Labels are JSON and no `MAP`: as text they can be grouped by,
/// compared and kept in a dictionary, so that a million rows of a series hold them once.
const SCHEMA: &str = "
    message samples {
        required binary metric (STRING);
        required binary labels (JSON);
        required int64 timestamp (TIMESTAMP(MILLIS, true));
        optional int64 start_timestamp (TIMESTAMP(MILLIS, true));
        optional double value;
        optional double histogram_count;
        optional double histogram_sum;
        optional int32 histogram_schema;
        optional double histogram_zero_threshold;
        optional double histogram_zero_count;
        optional binary histogram_reset (STRING);
        optional group histogram_buckets (LIST) {
            repeated group list {
                required group element {
                    required double lower;
                    required double upper;
                    required double count;
                }
            }
        }
    }";

pub(super) fn schema() -> Result<TypePtr> {
    parse_message_type(SCHEMA).map(Arc::new)
}

/// How pages are written. Times of a series grow evenly: their differences are smaller than a dictionary of them.
pub(super) fn properties(compressed: bool) -> WriterPropertiesPtr {
    let timestamp = ColumnPath::from("timestamp");
    let codec = if compressed { Codec::ZSTD(ZstdLevel::default()) } else { Codec::UNCOMPRESSED };
    let properties = WriterProperties::builder()
        .set_created_by(format!("sonde {}", env!("CARGO_PKG_VERSION")))
        .set_compression(codec)
        .set_column_dictionary_enabled(timestamp.clone(), false)
        .set_column_encoding(timestamp, Encoding::DELTA_BINARY_PACKED);
    Arc::new(properties.build())
}
