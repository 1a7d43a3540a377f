//! `hairpin drain`: a running daemon admits no new clients, and ends when the last allocation has ended.

use hyper::Method;
use serde_json::Value;

use crate::cli::admin_client::AdminArguments;
use crate::cli::{Failure, print};

pub(super) fn run(arguments: &AdminArguments) -> Result<(), Failure> {
    let answer = arguments.ask(Method::POST, "/drain", None)?;
    print(&if arguments.json { format!("{answer}\n") } else { show(&answer) })
}

fn show(answer: &Value) -> String {
    let allocations = answer.get("allocations").and_then(Value::as_u64).unwrap_or(0);
    format!("draining: {allocations} allocations go on; `hairpin drain` again shows how many are left\n")
}
