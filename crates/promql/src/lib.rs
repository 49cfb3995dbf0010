//! PromQL: lexer, AST, parser, printer, engine.
