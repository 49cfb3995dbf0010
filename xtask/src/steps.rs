//! A list of named steps that runs to its end and sums up, so that one failure does not hide the next.

use std::time::{Duration, Instant};

use anyhow::Result;

/// What came of each step so far.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<(String, Duration, Result<()>)>,
}

impl Steps {
    /// Runs one step and remembers how it went.
    #[expect(clippy::disallowed_methods, reason = "how long a developer's step took is wall time by nature")]
    pub(crate) fn step(&mut self, name: &str, run: impl FnOnce() -> Result<()>) {
        println!("\n=== {name}");
        let start = Instant::now();
        let result = run();
        if let Err(error) = &result {
            eprintln!("{name}: {error:#}");
        }
        self.done.push((name.to_owned(), start.elapsed(), result));
    }

    /// Prints one line a step and says whether all went well.
    pub(crate) fn sum_up(&self) -> Result<()> {
        println!("\n=== summary");
        for (name, took, result) in &self.done {
            let word = if result.is_ok() { "ok    " } else { "FAILED" };
            println!("{word} {name} ({:.0} s)", took.as_secs_f64());
        }
        let failed: Vec<&str> = self.done.iter().filter(|(_, _, r)| r.is_err()).map(|(n, _, _)| n.as_str()).collect();
        if !failed.is_empty() {
            anyhow::bail!("failed: {}", failed.join(", "));
        }
        Ok(())
    }
}
