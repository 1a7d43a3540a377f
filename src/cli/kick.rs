//! `hairpin kick`: ends one session, or all sessions of a user.

use hyper::Method;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::cli::admin_client::AdminArguments;
use crate::cli::{Failure, print};
use crate::observed::session::SessionId;

#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Arguments {
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    admin: AdminArguments,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Whom {
    /// The session: an ID that `hairpin sessions` shows.
    #[arg(value_name = "ID")]
    id: Option<SessionId>,
    /// All sessions of this user tag.
    #[arg(long, value_name = "TAG")]
    user: Option<String>,
}

/// The path of the request, to which its parameters are added.
const PATH: &str = "/sessions?";

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let ended = match &arguments.whom {
        Whom { id: Some(id), .. } => {
            arguments.admin.ask(Method::DELETE, &format!("/sessions/{id}"), None)?;
            1
        }
        Whom { id: None, user } => {
            let user = user.as_deref().unwrap_or_default();
            let mut query = form_urlencoded::Serializer::for_suffix(PATH.to_owned(), PATH.len());
            let path = query.append_pair("user", user).finish();
            let answer = arguments.admin.ask(Method::DELETE, &path, None)?;
            answer.get("ended").and_then(Value::as_u64).unwrap_or(0)
        }
    };
    print(&match (arguments.admin.json, ended) {
        (true, _) => format!("{}\n", json!({ "ended": ended })),
        (false, 1) => "1 session ended\n".to_owned(),
        (false, ended) => format!("{ended} sessions ended\n"),
    })
}
