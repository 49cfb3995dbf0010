//! Rule files, the rule state machine, templates, webhook payloads.
