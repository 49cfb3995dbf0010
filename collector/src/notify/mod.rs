//! The tasks that send notifications.
