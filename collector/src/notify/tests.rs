//! Notifications against a server on the loopback interface.
