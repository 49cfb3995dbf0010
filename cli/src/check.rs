//! `sonde check`: mistakes in files, all at once, with their lines.

use std::io::Read;
use std::path::Path;

use sonde_alerting::{Rule, RuleFile};
use sonde_collector::rules::read_files;

use crate::args::{CheckArgs, CheckWhat, Program};
use crate::print;
use crate::problem::Problem;

/// No file that people write is larger.
const MAX_BYTES: u64 = 16 << 20;

pub(crate) fn run(args: &CheckArgs) -> Result<(), Problem> {
    let files = match &args.what {
        CheckWhat::Rules { files } | CheckWhat::Config { files, .. } => files,
    };
    let check = |text: &str, origin: &str| match &args.what {
        CheckWhat::Rules { .. } => check_rules(text, origin),
        CheckWhat::Config { program, .. } => check_config(text, origin, *program),
    };
    let mut mistakes = Vec::new();
    for file in files {
        let origin = if is_stdin(file) { "<stdin>".to_owned() } else { file.display().to_string() };
        match read(file, &origin).and_then(|text| check(&text, &origin)) {
            Ok(found) => print(&format!("{origin}: {found}\n"))?,
            Err(more) => mistakes.extend(more),
        }
    }
    if mistakes.is_empty() { Ok(()) } else { Err(Problem::list(mistakes)) }
}

/// What a good file holds, or what is wrong with it.
type Outcome = Result<String, Vec<String>>;

fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

fn read(file: &Path, origin: &str) -> Result<String, Vec<String>> {
    let unreadable = |e: std::io::Error| vec![format!("{origin}: cannot be read: {e}")];
    let mut text = String::new();
    if is_stdin(file) {
        std::io::stdin().take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    } else {
        let open = std::fs::File::open(file).map_err(unreadable)?;
        open.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    }
    if text.len() as u64 > MAX_BYTES {
        return Err(vec![format!("{origin}: is larger than {MAX_BYTES} bytes")]);
    }
    Ok(text)
}

fn check_rules(text: &str, origin: &str) -> Outcome {
    let file =
        RuleFile::parse(text, origin).map_err(|errors| errors.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    let rules = || file.groups.iter().flat_map(|group| &group.rules);
    let alerting = rules().filter(|rule| matches!(rule, Rule::Alerting(_))).count();
    Ok(format!(
        "{}, {}, {}",
        counted(file.groups.len(), "group"),
        counted(alerting, "alerting rule"),
        counted(rules().count() - alerting, "recording rule")
    ))
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn check_config(text: &str, origin: &str, program: Option<Program>) -> Outcome {
    match program.unwrap_or_else(|| guess(text)) {
        Program::Collector => {
            let base = Path::new(origin).parent().unwrap_or(Path::new(""));
            let config = sonde_collector::Config::parse(text, origin).map_err(|e| vec![e.to_string()])?;
            let warnings: String = config.warnings().iter().map(|w| format!("\n{origin}: warning: {w}")).collect();
            let config = config.relative_to(base);
            let files = read_files(&config.rules.files)
                .map_err(|e| e.to_string().lines().map(str::to_owned).collect::<Vec<_>>())?;
            Ok(format!("a good configuration of a collector, with {}{warnings}", counted(files.len(), "rule file")))
        }
        Program::Agent => {
            let config: sonde_agent::Config = sonde_runtime::load(text, origin).map_err(|e| vec![e.to_string()])?;
            config.check().map_err(|e| vec![format!("{origin}: {e}")])?;
            Ok("a good configuration of an agent".to_owned())
        }
    }
}

/// The program whose top-level keys a file has; files that tell nothing are for the collector.
fn guess(text: &str) -> Program {
    const AGENT: [&str; 7] =
        ["data_dir", "collector", "queue", "host", "scrape", "resource_attributes", "shutdown_drain"];
    let keys = text.lines().filter_map(|line| line.split_once(':')).map(|(key, _)| key);
    if keys.into_iter().any(|key| AGENT.contains(&key)) { Program::Agent } else { Program::Collector }
}
