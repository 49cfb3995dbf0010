//! A configuration of TLS that follows its files.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::error::TlsError;
use crate::file::PemFile;

/// Files from which a configuration is made.
pub trait Source: Clone + PartialEq + std::fmt::Debug {
    /// What is made of them.
    type Config: Send + Sync;

    /// The files, in the order in which [`Source::build`] takes their content.
    fn files(&self) -> Vec<PemFile>;

    /// Makes the configuration of what was read.
    fn build(&self, contents: &[Vec<u8>]) -> Result<Built<Self::Config>, TlsError>;
}

/// What was made of the files.
#[derive(Debug)]
pub struct Built<C> {
    /// The configuration.
    pub(crate) config: Arc<C>,
    /// The own certificate, and the file that it is in.
    pub(crate) own: Option<(PemFile, crate::Certificate)>,
    /// When the first of the authorities is over, in seconds since the epoch.
    pub(crate) authorities_end: Option<i64>,
    /// What is allowed but hardly meant.
    pub(crate) warnings: Vec<String>,
}

/// What a look at the files came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// The files are as they were.
    Unchanged,
    /// The files changed, and are in force for new connections.
    Replaced {
        /// What is allowed but hardly meant.
        warnings: Vec<String>,
    },
}

/// What is counted of the files.
#[derive(Debug, Default)]
pub struct Stats {
    /// Times that changed files were taken.
    pub reloads: AtomicU64,
    /// Times that changed files were refused.
    pub reload_failures: AtomicU64,
    own_end: AtomicI64,
    authorities_end: AtomicI64,
}

impl Stats {
    /// Until when the own certificate holds, in seconds since the epoch; `None` without one.
    pub fn certificate_end(&self) -> Option<i64> {
        Some(self.own_end.load(Relaxed)).filter(|end| *end != 0)
    }

    /// Until when the first of the authorities in force holds, in seconds since the epoch; `None` where those of the system are
    /// trusted or nobody is asked for a certificate.
    pub fn authorities_end(&self) -> Option<i64> {
        Some(self.authorities_end.load(Relaxed)).filter(|end| *end != 0)
    }
}

/// A configuration that follows its files: what is no good leaves the old one in force.
pub struct Reloading<S: Source> {
    current: ArcSwap<S::Config>,
    in_force: Mutex<InForce<S>>,
    stats: Arc<Stats>,
}

/// Where the configuration in force comes from.
struct InForce<S> {
    source: S,
    contents: Vec<Vec<u8>>,
    /// What is wrong with the files since, as it was told last.
    told: Option<String>,
}

impl<S: Source> Reloading<S> {
    /// Reads the files for the first time. `now_s` is in seconds since the epoch. Returns with warnings: what is allowed but
    /// hardly meant. A certificate that is over is among them, because a program that measures and alerts must start.
    pub fn load(source: S, now_s: i64) -> Result<(Self, Vec<String>), TlsError> {
        let contents = read(&source)?;
        let mut built = source.build(&contents)?;
        if let Some((file, own)) = built.own.as_ref().filter(|(_, own)| own.is_expired(now_s)) {
            let (name, at) = (own.name(), crate::certificate::date(own.not_after));
            built.warnings.push(format!("{file}: the certificate of {name} expired at {at}; nobody will accept it"));
        }
        let stats = Arc::new(Stats::default());
        tell_ends(&stats, &built);
        let in_force = Mutex::new(InForce { source, contents, told: None });
        Ok((Reloading { current: ArcSwap::new(built.config), in_force, stats }, built.warnings))
    }

    /// The configuration for a connection that begins now.
    pub fn config(&self) -> Arc<S::Config> {
        self.current.load_full()
    }

    /// What is counted.
    pub fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }

    /// What the files are.
    pub fn source(&self) -> S {
        self.in_force.lock().source.clone()
    }

    /// Looks at the files again, and takes them if their content changed. Existing connections stay as they are.
    ///
    /// What is wrong is told and counted once: who looks every few seconds wants to hear of changes.
    pub fn refresh(&self, now_s: i64) -> Result<Refreshed, TlsError> {
        let mut in_force = self.in_force.lock();
        let source = in_force.source.clone();
        self.take(&mut in_force, source, now_s).or_else(|error| {
            let text = error.to_string();
            if in_force.told.as_ref() == Some(&text) {
                return Ok(Refreshed::Unchanged);
            }
            in_force.told = Some(text);
            self.stats.reload_failures.fetch_add(1, Relaxed);
            Err(error)
        })
    }

    /// Takes the files that `source` names, if they differ from what is in force. Who asks is told each time what is wrong.
    pub fn replace(&self, source: S, now_s: i64) -> Result<Refreshed, TlsError> {
        let taken = self.take(&mut self.in_force.lock(), source, now_s);
        if taken.is_err() {
            self.stats.reload_failures.fetch_add(1, Relaxed);
        }
        taken
    }

    fn take(&self, in_force: &mut InForce<S>, source: S, now_s: i64) -> Result<Refreshed, TlsError> {
        let contents = read(&source)?;
        if source == in_force.source && contents == in_force.contents {
            in_force.told = None;
            return Ok(Refreshed::Unchanged);
        }
        let built = self.not_expired_now(source.build(&contents)?, now_s)?;
        tell_ends(&self.stats, &built);
        self.current.store(built.config);
        self.stats.reloads.fetch_add(1, Relaxed);
        *in_force = InForce { source, contents, told: None };
        Ok(Refreshed::Replaced { warnings: built.warnings })
    }

    /// A certificate that is over does not replace one that holds.
    fn not_expired_now(&self, built: Built<S::Config>, now_s: i64) -> Result<Built<S::Config>, TlsError> {
        let holds = self.stats.certificate_end().is_some_and(|end| end >= now_s);
        match &built.own {
            Some((file, own)) if holds && own.is_expired(now_s) => {
                Err(TlsError::Expired { file: file.clone(), name: own.name().to_owned(), at: own.not_after })
            }
            _ => Ok(built),
        }
    }
}

impl<S: Source> std::fmt::Debug for Reloading<S> {
    /// Without what was read: a private key is among it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reloading").field("source", &self.source()).field("stats", &self.stats).finish_non_exhaustive()
    }
}

fn read<S: Source>(source: &S) -> Result<Vec<Vec<u8>>, TlsError> {
    source.files().iter().map(PemFile::read).collect()
}

fn tell_ends<C>(stats: &Stats, built: &Built<C>) {
    stats.own_end.store(built.own.as_ref().map_or(0, |(_, own)| own.not_after), Relaxed);
    stats.authorities_end.store(built.authorities_end.unwrap_or(0), Relaxed);
}
