//! `kill -9` of a collector with alerts at any moment, and webhooks that are dead for long, refuse, hang and cut connections: no
//! alert is lost, every end is told once, nothing is repeated too early.
//!
//! At least once, by design: a kill between the moment in which a webhook takes a notification and the commit that remembers
//! it makes the same notification come once more. There is at most one such for a kill and a group, and it is counted.

mod hook;
mod judge;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use hook::{BAD, Hook, Mood};
use sonde_tests::{Point, Sonde, Stopwatch, get, metrics_request, now_ms, post, wait_for};

/// How long it goes on; `SONDE_CHAOS_SECONDS` asks for more.
const SECONDS: u64 = 14;
/// A group in which nothing changes is told again after this long.
const REPEAT_INTERVAL_MS: i64 = 4_000;
/// Episodes that are under way at a time.
const MAX_EPISODES: usize = 12;
/// How long everything may take to be told once all is well again.
const DEADLINE: Duration = Duration::from_secs(90);

#[test]
fn alerts_survive_kills_and_dead_webhooks() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("SONDE_SEED").unwrap_or_else(|| fastrand::u64(..));
    let seconds = number("SONDE_CHAOS_SECONDS").unwrap_or(SECONDS);
    println!("SONDE_SEED={seed} SONDE_CHAOS_SECONDS={seconds}");
    let dir = tempfile::tempdir().expect("a folder");
    let mut world = World::start(dir.path(), seed);
    world.rage(Duration::from_secs(seconds));
    world.settle();
    println!("{}", world.judge());
}

/// What one series goes through: over the limit, seen firing, below it again, seen gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Rising,
    /// Since when it has been seen.
    Firing(i64),
    Falling,
    Gone,
}

struct World {
    random: fastrand::Rng,
    sonde: Sonde,
    /// Hears of every alert, grouped by name.
    all: Hook,
    /// Hears of odd episodes, each as a group of its own.
    pager: Hook,
    episodes: BTreeMap<u32, Stage>,
    kills: Vec<i64>,
}

impl World {
    fn start(dir: &Path, seed: u64) -> Self {
        let (all, pager) = (Hook::start(), Hook::start());
        let rules = dir.join("furnace.yml");
        let rule = "{alert: Hot, expr: furnace_temperature > 5}";
        std::fs::write(&rules, format!("groups:\n- name: furnace\n  interval: 300ms\n  rules:\n  - {rule}\n"))
            .expect("a rule");
        let text = format!(
            "rules: {{files: ['{}']}}\n\
             notify:\n  route:\n    receiver: all\n    group_by: [alertname]\n    group_wait: 100ms\n    group_interval: 400ms\n\
             \x20   repeat_interval: {REPEAT_INTERVAL_MS}ms\n    routes:\n\
             \x20   - {{matchers: [severity=page], receiver: pager, group_by: [episode], continue: true}}\n    - {{}}\n\
             \x20 receivers:\n  - {{name: all, webhooks: [{{url: 'http://{}/', timeout: 3s}}]}}\n\
             \x20 - {{name: pager, webhooks: [{{url: 'http://{}/', timeout: 3s}}]}}\n",
            rules.display(),
            all.address,
            pager.address
        );
        let config = dir.join("sonde.yml");
        std::fs::write(&config, text).expect("a configuration");
        let sonde = Sonde::collector(dir, &["--config", &config.to_string_lossy()]);
        let random = fastrand::Rng::with_seed(seed);
        // The first episode lasts to the end: what does not change is repeated.
        let episodes = [(1, Stage::Rising)].into();
        World { random, sonde, all, pager, episodes, kills: Vec::new() }
    }

    /// Episodes, kills and moods at random; in the middle third both webhooks are dead without a break.
    fn rage(&mut self, length: Duration) {
        let clock = Stopwatch::start();
        let millis = length.as_millis() as i64;
        let mut outage = 0;
        let (mut next_kill, mut next_mood) = (1_000, 0);
        while clock.elapsed() < length {
            let at = clock.elapsed().as_millis() as i64;
            let dead = (millis / 3..millis * 2 / 3).contains(&at);
            if dead && outage == 0 {
                outage = at;
                next_mood = at;
            }
            if at >= next_mood {
                for hook in [&self.all, &self.pager] {
                    let mood = if dead || self.random.u8(..3) == 0 {
                        BAD[self.random.usize(..BAD.len())]
                    } else {
                        Mood::Takes
                    };
                    hook.be(mood);
                }
                next_mood = at + self.random.i64(300..2_500);
            }
            if at >= next_kill {
                self.kill();
                next_kill = clock.elapsed().as_millis() as i64 + self.random.i64(500..4_000);
            }
            self.step();
        }
    }

    fn kill(&mut self) {
        self.sonde.server.kill();
        self.kills.push(now_ms());
        self.sonde.server = self.sonde.spawn.start();
    }

    /// Begins and ends episodes, sends what their series are now, looks what became of them.
    fn step(&mut self) {
        let open = self.episodes.values().filter(|stage| **stage != Stage::Gone).count();
        if open < MAX_EPISODES && self.random.u8(..4) == 0 {
            let next = self.episodes.len() as u32 + 1;
            self.episodes.insert(next, Stage::Rising);
        }
        let hold = self.random.i64(200..4_000);
        let over = |(id, stage): (&u32, &mut Stage)| {
            if let Stage::Firing(since) = *stage
                && *id != 1
                && now_ms() - since > hold
            {
                *stage = Stage::Falling;
            }
        };
        self.episodes.iter_mut().for_each(over);
        self.feed();
        self.look();
    }

    fn feed(&self) {
        let point = |(id, stage): (&u32, &Stage)| {
            let severity = if id % 2 == 1 { "page" } else { "info" };
            let value = if matches!(stage, Stage::Rising | Stage::Firing(_)) { 9.0 } else { 1.0 };
            let attributes = vec![("episode".to_owned(), id.to_string()), ("severity".to_owned(), severity.to_owned())];
            Point { metric: "furnace.temperature".to_owned(), attributes, timestamp: now_ms(), value, delta: false }
        };
        let open = self.episodes.iter().filter(|(_, stage)| **stage != Stage::Gone);
        let body = metrics_request("furnace", &open.map(point).collect::<Vec<_>>());
        let url = format!("http://{}/v1/metrics", self.sonde.otlp_http);
        // Nobody may be there; the next one comes soon.
        drop(post(&url, &[("content-type", "application/x-protobuf")], body));
    }

    fn look(&mut self) {
        let Some(firing) = self.firing() else { return };
        for (id, stage) in &mut self.episodes {
            let fires = firing.contains(&id.to_string());
            match stage {
                Stage::Rising if fires => *stage = Stage::Firing(now_ms()),
                Stage::Falling if !fires => *stage = Stage::Gone,
                Stage::Firing(_) => assert!(fires, "episode {id} does not fire any more, and nobody ended it"),
                Stage::Gone => assert!(!fires, "episode {id} fires again"),
                _ => {}
            }
        }
    }

    /// The episodes that the collector says are firing; `None` where it says nothing, or was not ready to.
    fn firing(&self) -> Option<BTreeSet<String>> {
        // Before its rules are loaded it shows none: only who has evaluated since the start is believed.
        let metrics = get(&self.sonde.url("/metrics")).ok()?.text();
        let evaluations = metrics.lines().find_map(|line| line.strip_prefix("sonde_rules_iterations_total "))?;
        if evaluations.trim().parse::<f64>().ok()? < 1.0 {
            return None;
        }
        let reply = get(&self.sonde.url("/api/v1/alerts")).ok().filter(|reply| reply.status == 200)?;
        let json = reply.json();
        let alerts = json["data"]["alerts"].as_array()?.iter().filter(|alert| alert["state"] == "firing");
        Some(alerts.filter_map(|alert| alert["labels"]["episode"].as_str().map(str::to_owned)).collect())
    }

    /// All is well again: every episode but the first ends and is told, then the first one, too.
    fn settle(&mut self) {
        self.all.be(Mood::Takes);
        self.pager.be(Mood::Takes);
        self.sonde.ready();
        for last in [2, 1] {
            let clock = Stopwatch::start();
            while self.episodes.range(last..).any(|(_, stage)| *stage != Stage::Gone) {
                assert!(clock.elapsed() < DEADLINE, "they do not end: {:?}", self.episodes);
                for stage in self.episodes.range_mut(last..).map(|(_, stage)| stage) {
                    if matches!(stage, Stage::Firing(_)) {
                        *stage = Stage::Falling;
                    }
                }
                self.feed();
                self.look();
            }
            if last == 2 {
                // Nothing changes any more: now it is repeated.
                let before = self.all.taken().len();
                wait_for("two repetitions", DEADLINE, || {
                    self.feed();
                    let taken = self.all.taken().len() - before;
                    if taken >= 3 { Ok(()) } else { Err(format!("{taken} of 3")) }
                });
            }
        }
        wait_for("that everything is told", DEADLINE, || {
            self.feed();
            match self.sonde.own_metric("sonde_notify_alerts") {
                0.0 => Ok(()),
                left => Err(format!("{left} are left")),
            }
        });
    }

    /// Every episode began once and ended once, whatever was killed in between.
    fn judge_history(&self, every: &BTreeSet<String>) {
        let json = self.sonde.get("/api/v1/alerts/history?alertname=Hot&limit=10000").json();
        let mut steps: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in json["data"]["transitions"].as_array().expect("lines").iter().rev() {
            let episode = line["labels"]["episode"].as_str().expect("an episode").to_owned();
            steps.entry(episode).or_default().push(line["to"].as_str().expect("a state").to_owned());
        }
        assert_eq!(&steps.keys().cloned().collect::<BTreeSet<_>>(), every, "the episodes of the history");
        for (episode, steps) in steps {
            assert_eq!(steps, ["firing", "inactive"], "episode {episode}");
        }
    }

    /// Figures for whoever reads along; panics where something does not hold.
    fn judge(&self) -> String {
        let named = |keep: fn(&u32) -> bool| self.episodes.keys().filter(|id| keep(id)).map(u32::to_string).collect();
        let (every, odd): (BTreeSet<String>, BTreeSet<String>) = (named(|_| true), named(|id| id % 2 == 1));
        let mut figures = vec![format!("{} episodes, {} kills", every.len(), self.kills.len())];
        for (name, hook, ended) in [("all", &self.all, &every), ("pager", &self.pager, &odd)] {
            let verdict = judge::judge(name, &hook.taken(), ended, &self.kills, REPEAT_INTERVAL_MS);
            let judge::Verdict { notifications, repeats, duplicates } = verdict;
            figures.push(format!(
                "{name}: {notifications} notifications taken, {} turned away; {repeats} repetitions, {duplicates} ends told twice \
                 over a kill",
                hook.turned_away()
            ));
        }
        self.judge_history(&every);
        let log = self.sonde.server.output();
        assert!(!log.contains("panicked"), "{log}");
        figures.join("\n")
    }
}
