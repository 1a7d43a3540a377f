//! `/turn`: gives a time-limited credential as draft-uberti-behave-turn-rest describes it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;

use crate::http::api::ice_servers::{Issued, Parsed, issue};
use crate::http::app_state::AppState;
use crate::http::authentication;
use crate::http::body::Form;
use crate::http::counters::Endpoint;
use crate::http::credential_request::CredentialRequest;
use crate::http::formats::Format;
use crate::http::keys::Shown;
use crate::http::problem::{Problem, bad};
use crate::http::requester::Requester;

/// The parameters of the draft's section 2.1. Some clients, such as Janus, write `api` for `key`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct TurnParameters {
    service: Option<String>,
    username: Option<String>,
    key: Option<String>,
    api: Option<String>,
}

impl TurnParameters {
    fn of(form: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut all = Self::default();
        for (name, value) in form {
            let field = match name.as_str() {
                "service" => &mut all.service,
                "username" => &mut all.username,
                "key" => &mut all.key,
                "api" => &mut all.api,
                // Unknown parameters are ignored, as in a URL.
                _ => continue,
            };
            if field.replace(value).is_some() {
                return Err(bad(format!("the form contains {name} twice: remove one")));
            }
        }
        Ok(all)
    }
}

/// `GET /turn`
pub(super) async fn turn(
    State(state): State<Arc<AppState>>,
    requester: Requester,
    headers: HeaderMap,
    url: Parsed<TurnParameters>,
) -> Issued {
    by_the_draft(&state, &requester, &headers, url?.0, TurnParameters::default())
}

/// `POST /turn`, which Janus sends if it is configured to: all parameters are in the URL, and again in a form.
pub(super) async fn post_turn(
    State(state): State<Arc<AppState>>,
    requester: Requester,
    headers: HeaderMap,
    url: Parsed<TurnParameters>,
    Form(form): Form,
) -> Issued {
    by_the_draft(&state, &requester, &headers, url?.0, TurnParameters::of(form)?)
}

fn by_the_draft(
    state: &AppState,
    requester: &Requester,
    headers: &HeaderMap,
    url: TurnParameters,
    form: TurnParameters,
) -> Issued {
    let user = url.username.or(form.username).filter(|name| !name.is_empty());
    if url.service.or(form.service).as_deref() != Some("turn") {
        return Err(bad("unknown service: write service=turn"));
    }
    let in_url = url.key.or(url.api);
    let in_form = form.key.or(form.api);
    // A key in a form is not treated as one in the URL, because proxies do not log form fields.
    let in_form = in_form.as_deref().filter(|_| in_url.is_none()).map(|text| Shown { text, in_url: false });
    let shown = authentication::shown(headers, in_url.as_deref()).or(in_form).ok_or_else(|| bad(NO_KEY))?;
    let key = authentication::admit(state, requester, shown).map_err(Problem::as_forbidden)?;
    let request = CredentialRequest { user, ..CredentialRequest::default() };
    issue(state, &key, &request, (Format::Uris, Endpoint::Turn))
}

const NO_KEY: &str = "an API key is required: send it as key= or as \"Authorization: Bearer hairpin_...\"";
