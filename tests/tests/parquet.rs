//! `sonde tsdb export --format parquet` on the real binary: read by DuckDB and pandas where it was built with the feature,
//! and the word that it was not where it was built without. `cargo xtask soak --only parquet` builds it with.

use std::path::Path;
use std::process::{Command, Output};

use sonde_tests::{python_with_parquet, sonde_binary};

/// Checks the file that it is given, with the tools of those who will read such files.
const READER: &str = r#"
import json, sys
import duckdb, pandas, pyarrow.parquet as parquet
path = sys.argv[1]
q = lambda sql: duckdb.sql(sql.replace("FILE", f"'{path}'")).fetchall()
duckdb.sql("SET TimeZone = 'UTC'")
assert q("SELECT metric, count(*) FROM FILE GROUP BY metric ORDER BY metric") == [("requests_total", 200), ("sizes", 2)]
assert q("SELECT labels->>'job', max(value) FROM FILE WHERE metric = 'requests_total' GROUP BY 1 ORDER BY 1") == [("api", 297.0), ("näher", 297.0)]
assert q("SELECT typeof(labels), typeof(timestamp) FROM FILE LIMIT 1") == [("JSON", "TIMESTAMP WITH TIME ZONE")]
assert q("SELECT epoch_ms(min(timestamp)), epoch_ms(max(timestamp)) FROM FILE WHERE metric = 'requests_total'") == [(1700000000123, 1700000099123)]
buckets = q("SELECT b.lower, b.upper, b.count FROM (SELECT unnest(histogram_buckets) AS b FROM FILE WHERE metric = 'sizes') ORDER BY ALL")
assert buckets == [(-0.5, 0.5, 1.0), (-0.5, 0.5, 1.0), (1.0, 2.0, 4.0), (1.0, 2.0, 6.0)], buckets
assert q("SELECT histogram_count, histogram_sum, histogram_schema, value FROM FILE WHERE metric = 'sizes' ORDER BY timestamp") == [(5.0, 7.5, 0, None), (7.0, 9.5, 0, None)]
frame = pandas.read_parquet(path)
assert len(frame) == 202 and str(frame["timestamp"].dtype) == "datetime64[ms, UTC]", frame.dtypes
means = frame[frame["metric"] == "requests_total"].groupby("labels")["value"].mean()
assert {json.loads(labels)["job"]: mean for labels, mean in means.items()} == {"api": 148.5, "näher": 148.5}
assert frame["histogram_count"].notna().sum() == 2 and len(frame["histogram_buckets"].dropna().iloc[0]) == 2
columns = ["metric", "labels", "timestamp", "start_timestamp", "value", "histogram_count", "histogram_sum", "histogram_schema",
    "histogram_zero_threshold", "histogram_zero_count", "histogram_reset", "histogram_buckets"]
assert parquet.read_schema(path).names == columns
print("good")
"#;

fn tsdb(args: &[&str]) -> Output {
    Command::new(sonde_binary()).arg("tsdb").args(args).output().expect("it runs")
}

fn page() -> String {
    let mut page = String::from("# TYPE requests counter\n");
    for job in ["api", "näher"] {
        for i in 0..100 {
            page += &format!("requests_total{{job=\"{job}\"}} {} {}.123\n", i * 3, 1_700_000_000 + i);
        }
    }
    for (i, count) in [(0, 5), (1, 7)] {
        page += &format!(
            "sizes {{count:{count},sum:{}.5,schema:0,zero_threshold:0.5,zero_count:1,positive_spans:[1:1],positive_buckets:[{}]}} {}\n",
            count + 2,
            count - 1,
            1_700_000_000 + i
        );
    }
    page + "# EOF\n"
}

#[test]
fn others_read_what_is_exported() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let file = |name: &str| text(&dir.path().join(name));
    let config = file("collector.yml");
    std::fs::write(&config, "storage: {retention: 36500d}\n").expect("a file");
    std::fs::write(file("page.om"), page()).expect("a file");
    let imported = tsdb(&["import", "--data-dir", &file("data"), "--config", &config, &file("page.om")]);
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));

    let out = file("all.parquet");
    let exported = tsdb(&["export", &file("data"), "--format", "parquet", "-o", &out]);
    let told = String::from_utf8_lossy(&exported.stderr);
    if told.contains("was built without Parquet") {
        assert_eq!(exported.status.code(), Some(1), "{told}");
        assert!(told.contains("cargo build --release -p sonde --features parquet"), "{told}");
        assert!(!Path::new(&out).exists(), "nothing was made");
        return;
    }
    assert!(exported.status.success(), "{told}");
    for wrong in [["-o", "x.parquet.zst"], ["--compression", "gzip"]] {
        let refused = tsdb(&[&["export", &file("data"), "--format", "parquet"][..], &wrong].concat());
        assert!(String::from_utf8_lossy(&refused.stderr).contains("compressed inside"), "{wrong:?}");
    }
    let Some(python) = python_with_parquet("Parquet, read by DuckDB and pandas") else { return };
    let plain = file("plain.parquet");
    let exported = tsdb(&["export", &file("data"), "--format", "parquet", "-o", &plain, "--compression", "none"]);
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    for path in [out, plain] {
        let read = Command::new(&python).args(["-c", READER, &path]).output().expect("it runs");
        let told = String::from_utf8_lossy(&read.stderr);
        assert!(read.status.success() && read.stdout == b"good\n", "{path}: {told}");
    }
}
