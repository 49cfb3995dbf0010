//! The tasks that evaluate rule groups on time.
