//! Rule files with what is said about them.
