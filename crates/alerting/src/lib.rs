//! Rule files, the rule state machine, templates, silences and webhook payloads: decisions as pure functions of state and time.
//!
//! The caller has the clock, the store and the network: it asks a group to evaluate at a time, appends what comes out,
//! and delivers the notifications that are due. Nothing here sleeps, reads a file or knows JSON.

pub mod alert;
pub mod dispatch;
pub mod fingerprint;
pub mod group;
pub mod inhibit;
pub mod interval;
pub mod matcher;
pub mod received;
mod recording;
pub mod route;
pub mod rules;
pub mod silence;
pub mod template;
pub mod webhook;
mod yaml;

pub use alert::{AlertInstance, AlertState};
pub use dispatch::{
    AlertGroup, Dispatcher, Endpoint, Failure, GroupMemory, LaneId, Notification, OutboxChange, Plan, PlanError,
    PlanSpec, SentMemory, Target,
};
pub use group::{
    EvaluationError, GroupState, Health, OutputSample, QueryFn, RuleMemory, RuleOutput, RuleState, SeenFn,
};
pub use inhibit::InhibitRule;
pub use interval::TimeInterval;
pub use matcher::{Matcher, MatcherError, Matchers};
pub use route::{GroupBy, Route, RouteSpec};
pub use rules::{AlertingRule, Group, RecordingRule, Rule, RuleError, RuleExpr, RuleFile};
pub use silence::{Silence, SilenceId, SilenceSet, SilenceState};
pub use template::{External, Template};
pub use webhook::Payload;

#[cfg(test)]
mod group_tests;
