//! Black box: real binaries, conformance, tidy.
