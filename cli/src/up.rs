//! `sonde up`: collector and agent for this host in one process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sonde_agent::config::Listen;
use sonde_collector::{Addresses, Flags};
use sonde_runtime::{Clock, Health};
use tokio_util::sync::CancellationToken;

use crate::args::UpArgs;
use crate::client::DEFAULT_URL;
use crate::collector;
use crate::print;
use crate::problem::Problem;
use crate::process::{self, problem};

/// How often it is asked whether the store is open.
const READY_POLL: Duration = Duration::from_millis(50);
/// How long the agent waits for the store. A store that takes longer is replaying: then the agent measures, and its queue keeps.
const AGENT_PATIENCE: Duration = Duration::from_secs(2);

pub(crate) fn run(args: UpArgs) -> Result<(), Problem> {
    process::serve(&args.log, serve(args.collector, args.agent_config))
}

async fn serve(flags: Flags, agent_file: Option<PathBuf>) -> Result<(), Problem> {
    let clock = Clock::system();
    let data_dir = flags.data_dir.clone();
    // Everything is proven and bound before anything runs: the configuration of the agent too.
    let mut agent_config = agent_configuration(agent_file.as_deref(), &data_dir)?;
    let mut collector = collector::build(flags, &clock)?;
    let (addresses, health) = (collector.addresses(), collector.health());
    // It is reached without a socket, whatever the listeners ask for; the address is a name in the log.
    agent_config.collector.endpoint = format!("http://{}", addresses.main);
    agent_config.collector.tls = sonde_agent::config::CollectorTlsConfig::default();
    let agent = sonde_agent::App::build(agent_config, clock.clone()).await.map_err(|e| problem(&e))?;
    let mut agent = agent.with_wire(collector.wire()).map_err(|e| problem(&e))?;
    if let Some(path) = agent_file {
        agent = agent.with_reload(path, collector.reload().subscribe());
    }
    let shutdown = process::signals(collector.reload())?;

    // The agent ends first, so that the collector takes what it still has to say.
    let collector_shutdown = CancellationToken::new();
    let agent_shutdown = shutdown.child_token();
    let agent = async {
        // What the collector would turn away while its store is opened can as well be sent a moment later.
        tokio::select! {
            () = ready(&clock, &health) => {}
            () = clock.sleep(AGENT_PATIENCE) => {}
            () = agent_shutdown.cancelled() => {}
        }
        let ended = agent.run(agent_shutdown.clone()).await.map_err(|e| problem(&e));
        collector_shutdown.cancel();
        ended
    };
    let collector = async {
        let ended = collector.run(collector_shutdown.clone()).await.map_err(|e| problem(&e));
        // Without a collector the agent of this process has nothing to do.
        agent_shutdown.cancel();
        ended
    };
    let greeting = async {
        tokio::select! {
            () = ready(&clock, &health) => {
                // Where stdout is gone nobody looks.
                drop(print(&greeting(&addresses, &data_dir)));
            }
            () = agent_shutdown.cancelled() => {}
        }
    };
    let (agent, collector, ()) = tokio::join!(agent, collector, greeting);
    collector.and(agent)
}

/// The agent of this process: it keeps its data beside the collector's, which alone takes OTLP.
fn agent_configuration(file: Option<&Path>, data_dir: &Path) -> Result<sonde_agent::Config, Problem> {
    let mut config = match file {
        Some(path) => sonde_agent::Config::load(path).map_err(|e| problem(&e))?,
        None => sonde_agent::Config::default(),
    };
    config.data_dir = data_dir.to_path_buf();
    config.otlp.grpc_listen = Listen::Off;
    config.otlp.http_listen = Listen::Off;
    Ok(config)
}

/// Waits until the store is open and queries are answered.
async fn ready(clock: &Clock, health: &Health) {
    while !health.is_ready() {
        clock.sleep(READY_POLL).await;
    }
}

/// Where to look.
fn greeting(addresses: &Addresses, data_dir: &Path) -> String {
    let base = format!("{}://{}", addresses.scheme, addresses.main);
    let receivers = [(addresses.otlp_grpc, "gRPC"), (addresses.otlp_http, "HTTP")];
    let otlp = receivers.iter().filter_map(|(address, name)| Some(format!("{} ({name})", (*address)?)));
    let otlp = otlp.collect::<Vec<_>>().join(", ");
    let otlp = if otlp.is_empty() { format!("{base} (gRPC and HTTP)") } else { otlp };
    let url = if base == DEFAULT_URL { String::new() } else { format!(" --url {base}") };
    format!(
        "Sonde is up. Ctrl-C stops it.\n\n  \
         page and API  {base}/\n  \
         OTLP          {otlp}\n  \
         remote write  {base}/api/v1/write\n  \
         data          {}\n\n\
         Ask:  sonde query{url} 'system_cpu_load_average_1m'\n",
        data_dir.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greeting_says_where_to_look() {
        let address = |port: u16| std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let mut addresses = Addresses {
            scheme: "http",
            main: address(9090),
            otlp_grpc: Some(address(4317)),
            otlp_http: Some(address(4318)),
        };
        let told = greeting(&addresses, Path::new("./sonde-data"));
        assert!(
            told.contains("http://127.0.0.1:9090/\n") && told.contains("127.0.0.1:4317 (gRPC), 127.0.0.1:4318 (HTTP)")
        );
        assert!(told.ends_with("Ask:  sonde query 'system_cpu_load_average_1m'\n"), "{told}");
        addresses = Addresses { scheme: "http", main: address(9999), otlp_grpc: None, otlp_http: None };
        let told = greeting(&addresses, Path::new("./sonde-data"));
        assert!(told.contains("http://127.0.0.1:9999 (gRPC and HTTP)"), "{told}");
        assert!(told.contains("sonde query --url http://127.0.0.1:9999 "), "{told}");
    }
}
