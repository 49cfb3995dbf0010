//! The files of `deploy/` against what reads them: systemd, the published schemas of Kubernetes, and our own programs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sonde_tests::{
    Spawn, free_port, get, kubernetes_validate, not_run, sonde_binary, target_profile_dir, workspace_root,
};

/// The programs that are deployed.
const PROGRAMS: [&str; 2] = ["sonde-agent", "sonde-collector"];
/// The releases of Kubernetes whose schemas the manifests must satisfy: the oldest that is promised, and a new one.
const KUBERNETES: [&str; 2] = ["1.30", "1.37"];
/// The highest exposure that `systemd-analyze security` may give a unit, in tenths: 0 is closed, 100 is open.
const MAX_EXPOSURE: &str = "25";
/// What every unit says.
const HARDENING: [&str; 15] = [
    "CapabilityBoundingSet=",
    "DynamicUser=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "NoNewPrivileges=yes",
    "PrivateDevices=yes",
    "PrivateTmp=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectSystem=strict",
    "Restart=always",
    "RestrictNamespaces=yes",
    "RestrictSUIDSGID=yes",
    "SystemCallArchitectures=native",
    "UMask=0077",
];

#[test]
fn units_are_hardened() {
    for program in PROGRAMS {
        let unit = read(&format!("systemd/{program}.service"));
        let lines: BTreeSet<&str> = unit.lines().collect();
        for line in HARDENING {
            assert!(lines.contains(line), "{program}.service does not say {line}");
        }
        for key in ["MemoryMax=", "StateDirectory=", "TasksMax=", "SystemCallFilter=@system-service"] {
            assert!(unit.contains(&format!("\n{key}")), "{program}.service does not say {key}");
        }
    }
    let agent = read("systemd/sonde-agent.service");
    assert!(agent.contains("\nProtectProc=default\n") && agent.contains("\nProcSubset=all\n"), "it reads all of /proc");
}

#[test]
fn systemd_accepts_the_units() {
    if !Path::new("/usr/bin/systemd-analyze").is_file() {
        return not_run("systemd-analyze verify on deploy/systemd", "systemd is not installed");
    }
    let dir = tempfile::tempdir().expect("a folder");
    for program in PROGRAMS {
        // It insists on programs that are there: the ones under test stand in for the installed ones.
        let installed = format!("/usr/bin/{program}");
        let unit = read(&format!("systemd/{program}.service"));
        assert!(unit.contains(&installed), "{unit}");
        let path = dir.path().join(format!("{program}.service"));
        let unit = unit.replace(&installed, &binary(program).to_string_lossy());
        std::fs::write(&path, unit).expect("a unit");
        let verify = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output().expect("systemd");
        let said = String::from_utf8_lossy(&verify.stderr).into_owned();
        // An unknown key is a warning only, and units of this machine may have their own troubles.
        let ours: Vec<&str> = said.lines().filter(|line| line.contains(program)).collect();
        assert!(verify.status.success() && ours.is_empty(), "{program}: {said}");
        let mut security = Command::new("systemd-analyze");
        security.args(["security", "--no-pager", "--offline=true", &format!("--threshold={MAX_EXPOSURE}")]).arg(&path);
        let output = security.output().expect("systemd");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn every_flag_and_variable_is_known_to_the_program() {
    let mut uses: Vec<(&str, String)> = Vec::new();
    for program in PROGRAMS {
        let unit = read(&format!("systemd/{program}.service"));
        let start = unit.lines().find(|line| line.starts_with("ExecStart=")).expect("a command");
        uses.extend(words(start).into_iter().map(|word| (program, word)));
    }
    uses.extend(words(&read("systemd/sonde-collector.default")).into_iter().map(|word| ("sonde-collector", word)));
    for stage in stages() {
        let program = format!("sonde-{}", stage.name);
        if let Some(known) = PROGRAMS.iter().find(|p| **p == program) {
            uses.extend(stage.lines.iter().flat_map(|line| words(line)).map(|word| (*known, word)));
        }
    }
    for (program, manifest) in manifests() {
        for container in containers(&manifest) {
            uses.extend(list(&container["args"]).flat_map(|arg| words(&text(arg))).map(|word| (program, word)));
        }
    }
    let help: BTreeMap<&str, String> = PROGRAMS.into_iter().map(|program| (program, help(program))).collect();
    assert!(uses.len() > 15, "{uses:?}");
    for (program, word) in uses {
        let known = match word.strip_prefix("--") {
            // Our own variable, which holds flags.
            None if word == "SONDE_FLAGS" => true,
            None => help[program].contains(&format!("[env: {word}=")),
            Some(_) => help[program].split_whitespace().any(|other| other == word),
        };
        assert!(known, "{program} --help does not know {word}");
    }
}

#[test]
fn every_configuration_is_accepted() {
    let dir = tempfile::tempdir().expect("a folder");
    for program in PROGRAMS {
        let short = program.strip_prefix("sonde-").expect("a program");
        let file = format!("{short}.yml");
        check_config(short, &workspace_root().join("deploy/systemd").join(&file));
        let path = dir.path().join(&file);
        std::fs::write(&path, configured(program, &file)).expect("a configuration");
        check_config(short, &path);
    }
}

#[test]
fn manifests_satisfy_the_published_schemas() {
    let Some(validate) = kubernetes_validate("the schemas of Kubernetes on deploy/kubernetes") else { return };
    for release in KUBERNETES {
        for path in manifest_files() {
            let mut command = Command::new(&validate);
            let output = command.args(["--strict", "-k", release]).arg(&path).output().expect("it starts");
            let said = [output.stdout, output.stderr].map(|o| String::from_utf8_lossy(&o).into_owned()).concat();
            assert!(output.status.success(), "{} against {release}: {said}", path.display());
            let documents = read_manifest(&path).len();
            assert_eq!(said.matches("passed for resource").count(), documents, "{said}");
        }
    }
}

#[test]
fn manifests_name_only_what_they_define() {
    let all = manifests();
    let config_maps: BTreeSet<String> =
        all.iter().filter(|(_, m)| m["kind"] == "ConfigMap").map(|(_, m)| text(&m["metadata"]["name"])).collect();
    for (program, manifest) in &all {
        let place = format!("{program}: {} {}", manifest["kind"], manifest["metadata"]["name"]);
        let pod = &manifest["spec"]["template"];
        if pod.is_object() {
            assert_eq!(manifest["spec"]["selector"]["matchLabels"], pod["metadata"]["labels"], "{place}");
            let volumes: BTreeSet<String> = list(&pod["spec"]["volumes"])
                .map(|volume| text(&volume["name"]))
                .chain(list(&manifest["spec"]["volumeClaimTemplates"]).map(|claim| text(&claim["metadata"]["name"])))
                .collect();
            for volume in list(&pod["spec"]["volumes"]).filter(|volume| volume["configMap"].is_object()) {
                assert!(config_maps.contains(&text(&volume["configMap"]["name"])), "{place}: {volume}");
            }
            for container in containers(manifest) {
                for mount in list(&container["volumeMounts"]) {
                    assert!(volumes.contains(&text(&mount["name"])), "{place}: {mount}");
                }
                let security = &container["securityContext"];
                assert_eq!(security["allowPrivilegeEscalation"], false, "{place}");
                assert_eq!(security["readOnlyRootFilesystem"], true, "{place}");
                assert_eq!(security["capabilities"]["drop"][0], "ALL", "{place}");
                assert!(container["resources"]["limits"]["memory"].is_string(), "{place}: no limit of memory");
            }
        }
        if manifest["kind"] == "Service" {
            let set = all.iter().map(|(_, m)| m).find(|m| m["kind"] == "StatefulSet").expect("a StatefulSet");
            assert_eq!(manifest["spec"]["selector"], set["spec"]["template"]["metadata"]["labels"], "{place}");
            let ports: BTreeSet<String> =
                containers(set).flat_map(|c| list(&c["ports"])).map(|port| text(&port["name"])).collect();
            for port in list(&manifest["spec"]["ports"]) {
                assert!(ports.contains(&text(&port["targetPort"])), "{place}: {port}");
            }
        }
    }
    let daemon = all.iter().map(|(_, m)| m).find(|m| m["kind"] == "DaemonSet").expect("a DaemonSet");
    let pod = &daemon["spec"]["template"]["spec"];
    assert_eq!((&pod["hostPID"], &pod["hostNetwork"]), (&true.into(), &true.into()), "it measures the node");
    let agent: Value = serde_saphyr::from_str(&configured("sonde-agent", "agent.yml")).expect("a configuration");
    let mounts = list(&pod["containers"][0]["volumeMounts"]);
    let root = mounts.filter(|mount| mount["mountPath"] == agent["host"]["root"]).collect::<Vec<_>>();
    assert!(root.len() == 1 && root[0]["readOnly"] == true, "host.root is a read-only mount: {root:?}");
}

/// The collector as the StatefulSet starts it, its ports and paths apart, answers its probes.
#[test]
fn the_collector_answers_its_probes() {
    let all = manifests();
    let set = all.iter().map(|(_, m)| m).find(|m| m["kind"] == "StatefulSet").expect("a StatefulSet");
    let container = &set["spec"]["template"]["spec"]["containers"][0];
    let dir = tempfile::tempdir().expect("a folder");
    let config = dir.path().join("collector.yml");
    std::fs::write(&config, configured("sonde-collector", "collector.yml")).expect("a configuration");
    let port = free_port();
    let here = |arg: &Value| {
        let arg = text(arg);
        let (flag, value) = arg.split_once('=').unwrap_or((&arg, ""));
        match flag {
            "--data-dir" => format!("{flag}={}", dir.path().join("data").display()),
            "--config" => format!("{flag}={}", config.display()),
            "--listen" => format!("{flag}={}", value.replace("9090", &port.to_string())),
            "--otlp-grpc-listen" | "--otlp-http-listen" => {
                format!("{flag}={}:0", value.rsplit_once(':').expect("an address").0)
            }
            _ => arg,
        }
    };
    let args: Vec<String> = list(&container["args"]).map(here).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut server = Spawn::program(binary("sonde-collector"), dir.path(), "collector", &args).start();
    for probe in ["readinessProbe", "livenessProbe"] {
        let path = text(&container[probe]["httpGet"]["path"]);
        let url = format!("http://127.0.0.1:{port}{path}");
        server.ready(&url);
        assert_eq!(get(&url).expect("an answer").status, 200, "{probe}: {}", server.output());
    }
}

#[test]
fn the_container_file_builds_what_there_is() {
    let stages = stages();
    let names: Vec<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
    assert_eq!(names, ["build", "base", "agent", "collector"]);
    let cargo = std::fs::read_to_string(workspace_root().join("Cargo.toml")).expect("Cargo.toml");
    let rust =
        cargo.lines().find_map(|line| line.strip_prefix("rust-version = ")).expect("a version").trim_matches('"');
    assert_eq!(stages[0].from, format!("rust:{rust}-bookworm"), "the image has the toolchain of the workspace");
    assert_eq!(stages[1].from.split(':').next(), Some("debian"), "the same C library as the image that builds");
    assert!(stages[1].lines.iter().any(|line| line.starts_with("USER 65532")), "nobody is root");
    for stage in &stages[2..] {
        assert_eq!(stage.from, "base", "{}: with the user of the base", stage.name);
        assert!(!stage.lines.iter().any(|line| line.starts_with("USER")), "{}: with the user of the base", stage.name);
        let entry = stage.lines.iter().find_map(|line| line.strip_prefix("ENTRYPOINT ")).expect("an ENTRYPOINT");
        let entry: Vec<String> = serde_json::from_str(entry).expect("a list, so that signals arrive");
        let program = entry[0].strip_prefix("/usr/bin/").expect("a path");
        assert_eq!(program, format!("sonde-{}", stage.name));
        assert!(binary(program).is_file(), "{program} is a program of the workspace");
        let copied = stage.lines.iter().any(|line| line.starts_with("COPY --from=build") && line.contains(program));
        assert!(copied, "{}: {program} is not copied", stage.name);
    }
}

/// A stage of the container file, its continued lines joined.
struct Stage {
    name: String,
    from: String,
    lines: Vec<String>,
}

fn stages() -> Vec<Stage> {
    let joined = read("Containerfile").replace("\\\n", " ");
    let mut stages: Vec<Stage> = Vec::new();
    for line in joined.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        if let Some(from) = line.strip_prefix("FROM ") {
            let (from, name) = from.split_once(" AS ").expect("FROM IMAGE AS NAME");
            stages.push(Stage { name: name.to_owned(), from: from.to_owned(), lines: Vec::new() });
        } else {
            stages.last_mut().expect("FROM comes first").lines.push(line.to_owned());
        }
    }
    stages
}

/// The flags, without their values, and the variables `SONDE_...` in a text.
fn words(text: &str) -> Vec<String> {
    let separate = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
    let words = text.split(separate).filter(|word| {
        let flag = word.strip_prefix("--").is_some_and(|rest| !rest.is_empty());
        flag && *word != "--from" && *word != "--chown" || word.starts_with("SONDE_")
    });
    words.map(str::to_owned).collect()
}

fn help(program: &str) -> String {
    let output = Command::new(binary(program)).arg("--help").output().expect("it starts");
    assert!(output.status.success(), "{program} --help");
    // Its lines are broken anywhere.
    String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn check_config(program: &str, path: &Path) {
    let output =
        Command::new(sonde_binary()).args(["check", "config", "--for", program]).arg(path).output().expect("sonde");
    assert!(output.status.success(), "{}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
}

/// A program that was built beside the tests.
fn binary(program: &str) -> PathBuf {
    let path = target_profile_dir().join(program);
    assert!(path.is_file(), "{} is missing: `cargo build --bins` comes first", path.display());
    path
}

/// The configuration that a ConfigMap gives a program.
fn configured(program: &str, file: &str) -> String {
    let all = manifests();
    let of_program = |m: &Value| m["kind"] == "ConfigMap" && m["metadata"]["name"] == program;
    let map = all.iter().map(|(_, m)| m).find(|m| of_program(m)).unwrap_or_else(|| panic!("no ConfigMap of {program}"));
    text(&map["data"][file])
}

fn manifest_files() -> Vec<PathBuf> {
    ["agent.yml", "collector.yml"].map(|name| workspace_root().join("deploy/kubernetes").join(name)).to_vec()
}

/// All manifests, with the program that each is for.
fn manifests() -> Vec<(&'static str, Value)> {
    let each = |(program, path): (&'static str, PathBuf)| {
        read_manifest(&path).into_iter().map(move |manifest| (program, manifest))
    };
    PROGRAMS.into_iter().zip(manifest_files()).flat_map(each).collect()
}

fn read_manifest(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("a manifest");
    let parse = |text: &str| serde_saphyr::from_str(text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.split("\n---\n").map(parse).collect()
}

/// The containers of a pod's template, those that only prepare apart.
fn containers(manifest: &Value) -> impl Iterator<Item = &Value> {
    list(&manifest["spec"]["template"]["spec"]["containers"])
}

fn read(path: &str) -> String {
    let path = workspace_root().join("deploy").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}
