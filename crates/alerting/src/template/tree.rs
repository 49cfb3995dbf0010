//! Checks a parsed template and makes its field accesses behave as in Go.
//!
//! Go refuses an unknown function or variable when it parses; the engine used here does so only when it runs into one.
//! In Go a label that is missing from `$labels` is an empty text; here it would be nil, which compares differently.
//! And a float is printed with an exponent where it is very large or small.

use std::collections::BTreeSet;
use std::sync::Arc;

use gotmpl::parse::{BranchNode, CommandNode, Expr, ListNode, Node, PipeNode, Pos, SmolStr};

/// The function that field accesses become. No template can name it: it is not an identifier.
pub(super) const FIELD_FUNCTION: &str = " field";

/// The function that the pipeline of an action ends in.
pub(super) const PRINT_FUNCTION: &str = " print";

/// What text/template itself defines.
const BUILTINS: [&str; 19] = [
    "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or", "print", "printf",
    "println", "slice", "urlquery",
];

/// The first use of something undefined, as Go words it.
pub(super) type Undefined = String;

/// Walks one template body, whose variables at the start are `variables`.
pub(super) struct Walk<'a> {
    functions: &'a BTreeSet<&'static str>,
    variables: Vec<SmolStr>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(functions: &'a BTreeSet<&'static str>) -> Self {
        Walk { functions, variables: vec!["$".into()] }
    }

    /// Checks a list of nodes and rewrites its field accesses.
    pub(super) fn list(&mut self, list: &mut ListNode) -> Result<(), Undefined> {
        list.nodes.iter_mut().try_for_each(|node| self.node(node))
    }

    fn node(&mut self, node: &mut Node) -> Result<(), Undefined> {
        match node {
            Node::List(list) => self.list(list),
            Node::Action(action) => {
                self.pipe(&mut action.pipe)?;
                if action.pipe.decl.is_empty() {
                    let args = vec![Expr::Identifier(action.pos, PRINT_FUNCTION.into())];
                    action.pipe.commands.push(CommandNode { pos: action.pos, args });
                }
                Ok(())
            }
            Node::If(branch) | Node::Range(branch) | Node::With(branch) => self.branch(branch),
            Node::Template(template) => template.pipe.as_mut().map_or(Ok(()), |pipe| self.pipe(pipe)),
            Node::Define(define) => Walk::new(self.functions).list(&mut define.body),
            Node::Text(_) | Node::Break(_) | Node::Continue(_) => Ok(()),
        }
    }

    fn branch(&mut self, branch: &mut BranchNode) -> Result<(), Undefined> {
        let outside = self.variables.len();
        self.pipe(&mut branch.pipe)?;
        let inside = self.variables.len();
        self.list(&mut branch.body)?;
        self.variables.truncate(inside);
        if let Some(body) = &mut branch.else_body {
            self.list(body)?;
        }
        self.variables.truncate(outside);
        Ok(())
    }

    fn pipe(&mut self, pipe: &mut PipeNode) -> Result<(), Undefined> {
        for command in &mut pipe.commands {
            for argument in &mut command.args {
                self.expr(argument)?;
            }
        }
        if pipe.is_assign {
            return pipe.decl.iter().try_for_each(|name| self.variable(name));
        }
        self.variables.extend(pipe.decl.iter().cloned());
        Ok(())
    }

    fn expr(&mut self, expr: &mut Expr) -> Result<(), Undefined> {
        let (pos, fields) = match expr {
            Expr::Identifier(_, name) => return self.function(name),
            Expr::Pipe(_, pipe) => return self.pipe(pipe),
            Expr::Variable(pos, name, fields) => {
                self.variable(name)?;
                (*pos, std::mem::take(fields))
            }
            Expr::Field(pos, fields) => (*pos, std::mem::take(fields)),
            Expr::Chain(pos, inner, fields) => {
                self.expr(inner)?;
                // A call with arguments and a field on its result stays as it is: the arguments follow the chain.
                if matches!(**inner, Expr::Identifier(..)) {
                    return Ok(());
                }
                (*pos, std::mem::take(fields))
            }
            Expr::Dot(_) | Expr::String(..) | Expr::Number(..) | Expr::Bool(..) | Expr::Nil(_) => return Ok(()),
        };
        if !fields.is_empty() {
            let base = match std::mem::replace(expr, Expr::Dot(pos)) {
                Expr::Field(..) => Expr::Dot(pos),
                Expr::Chain(_, inner, _) => *inner,
                other => other,
            };
            *expr = field_call(pos, base, fields);
        }
        Ok(())
    }

    fn function(&self, name: &SmolStr) -> Result<(), Undefined> {
        if BUILTINS.contains(&name.as_str()) || self.functions.contains(name.as_str()) {
            return Ok(());
        }
        Err(format!("function {:?} not defined", name.as_str()))
    }

    fn variable(&self, name: &SmolStr) -> Result<(), Undefined> {
        if self.variables.contains(name) { Ok(()) } else { Err(format!("undefined variable {:?}", name.as_str())) }
    }
}

/// Takes the mark off the end of a body. `false`: it is not there.
pub(super) fn take_end_mark(body: &mut ListNode, mark: &str) -> bool {
    let Some(Node::Text(last)) = body.nodes.last_mut() else { return false };
    let Some(text) = last.text.strip_suffix(mark) else { return false };
    if text.is_empty() {
        body.nodes.pop();
    } else {
        last.text = text.into();
    }
    true
}

fn field_call(pos: Pos, base: Expr, fields: Vec<SmolStr>) -> Expr {
    let mut args = vec![Expr::Identifier(pos, FIELD_FUNCTION.into()), base];
    args.extend(fields.into_iter().map(|field| Expr::String(pos, Arc::from(field.as_str()))));
    let commands = vec![CommandNode { pos, args }];
    Expr::Pipe(pos, PipeNode { pos, decl: Vec::new(), commands, is_assign: false })
}
