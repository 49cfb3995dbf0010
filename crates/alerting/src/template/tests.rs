//! Templates with what they print.
