//! Gives credentials to backends, to pages that have a key, and to our own page that checks the connection.

use std::sync::{Arc, PoisonError};

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use crate::config::{ApiKey, Create};
use crate::credentials::CHECK;
use crate::http::body::{Body, Form};
use crate::http::caller::{self, Caller};
use crate::http::formats::Format;
use crate::http::keys::Shown;
use crate::http::origins::PageOf;
use crate::http::problem::{Problem, bad};
use crate::http::wish::{Wish, WishInUrl, ttl};
use crate::http::{Site, Visitor};

/// The parameters of draft-uberti-behave-turn-rest §2.1. Some clients, such as Janus, write `api` for `key`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct TurnQuery {
    service: Option<String>,
    username: Option<String>,
    key: Option<String>,
    api: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Shape {
    #[serde(default)]
    format: Format,
}

#[derive(Deserialize)]
pub(super) struct KeyInUrl {
    key: Option<String>,
}

/// Seconds that the credential of a check is valid.
const CHECK_TTL: u64 = 120;

type Asked<T> = Result<Query<T>, QueryRejection>;
type Answer = Result<(StatusCode, Json<Value>), Problem>;

impl TurnQuery {
    fn of(form: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut all = Self::default();
        for (name, value) in form {
            let field = match name.as_str() {
                "service" => &mut all.service,
                "username" => &mut all.username,
                "key" => &mut all.key,
                "api" => &mut all.api,
                // Somebody else's, as in a URL.
                _ => continue,
            };
            if field.replace(value).is_some() {
                return Err(bad(format!("{name} stands in the form twice: remove one")));
            }
        }
        Ok(all)
    }
}

/// `GET /turn`
pub(super) async fn turn(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    headers: HeaderMap,
    query: Asked<TurnQuery>,
) -> Answer {
    by_the_draft(&site, visitor, &headers, query?.0, TurnQuery::default())
}

/// `POST /turn`, as Janus may be told to ask: it says all of it in the URL, and once more in a form.
pub(super) async fn post_turn(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    headers: HeaderMap,
    query: Asked<TurnQuery>,
    Form(form): Form,
) -> Answer {
    by_the_draft(&site, visitor, &headers, query?.0, TurnQuery::of(form)?)
}

fn by_the_draft(
    site: &Site,
    visitor: Visitor,
    headers: &HeaderMap,
    url: TurnQuery,
    form: TurnQuery,
) -> Answer {
    let user = url.username.or(form.username).filter(|name| !name.is_empty());
    if url.service.or(form.service).as_deref() != Some("turn") {
        return Err(bad("the only service here is service=turn"));
    }
    let in_url = url.key.or(url.api);
    let in_form = form.key.or(form.api);
    // What stands in a form ends up in no log.
    let in_form = in_form.as_deref().filter(|_| in_url.is_none()).map(|text| Shown { text, in_url: false });
    let shown = caller::shown(headers, in_url.as_deref()).or(in_form).ok_or_else(|| bad(NO_KEY))?;
    let key = caller::admit(site, visitor, headers, shown).map_err(Problem::as_forbidden)?;
    give(site, &key, &Wish { user, ..Wish::default() }, Format::Uris)
}

/// `GET /api/v1/ice-servers`
pub(super) async fn ice_servers(
    State(site): State<Arc<Site>>,
    visitor: Visitor,
    headers: HeaderMap,
    key: Asked<KeyInUrl>,
    shape: Asked<Shape>,
    wish: Asked<WishInUrl>,
) -> Answer {
    let Query(KeyInUrl { key }) = key?;
    let shown = caller::shown(&headers, key.as_deref()).ok_or_else(caller::no_key)?;
    let key = caller::admit(&site, visitor, &headers, shown)?;
    give(&site, &key, &Wish::try_from(wish?.0)?, shape?.format)
}

/// `POST /api/v1/ice-servers`
pub(super) async fn make_ice_servers(
    State(site): State<Arc<Site>>,
    Caller(key): Caller,
    shape: Asked<Shape>,
    Body(wish): Body<Wish>,
) -> Answer {
    let (_, answer) = give(&site, &key, &wish, shape?.format)?;
    Ok((StatusCode::CREATED, answer))
}

/// `POST /api/v1/check-ice`: for our own page that checks the connection, which has no key.
pub(super) async fn check_ice(State(site): State<Arc<Site>>, visitor: Visitor, headers: HeaderMap) -> Answer {
    let now = site.clock.now();
    let page = site.origins.page_of(visitor, &headers);
    if page == PageOf::Stranger {
        site.refusals.stranger(&headers, &site.origins, now.moment);
    }
    if page != PageOf::Own {
        return Err(Problem::origin_forbidden(FOREIGN_PAGE));
    }
    let token = caller::bearer(&headers).unwrap_or_default();
    // Where not everybody may make rooms, not everybody may relay.
    if site.create == Create::Token && site.api.room_tokens.check(token, now.unix).is_err() {
        return Err(Problem::new(StatusCode::UNAUTHORIZED, NO_TOKEN));
    }
    let mut checks = site.api.checks.lock().unwrap_or_else(PoisonError::into_inner);
    checks.take(visitor.ip, now.moment).map_err(|(_, wait)| Problem::too_often(wait))?;
    drop(checks);
    let tag = format!("{CHECK}.{}", site.api.somebody());
    let given = site.api.ice.configuration(&site.api.credentials, &tag, now.unix, CHECK_TTL, None);
    let given = given.ok_or_else(nothing)?;
    Ok((StatusCode::CREATED, Json(Format::Object.write(&given))))
}

fn give(site: &Site, key: &ApiKey, wish: &Wish, format: Format) -> Answer {
    let Site { api, clock, .. } = site;
    let tag = wish.tag(key, &api.credentials, &api.somebody())?;
    let (ttl, transports) = (ttl(wish.ttl, key)?, wish.transports()?);
    let given = api.ice.configuration(&api.credentials, &tag, clock.now().unix, ttl, transports);
    Ok((StatusCode::OK, Json(format.write(&given.ok_or_else(nothing)?))))
}

fn nothing() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, NO_SERVER)
}

const NO_KEY: &str = "show an API key, as key= or as \"Authorization: Bearer hairpin_...\"";
const NO_SERVER: &str = "there is no such server: no secret to make credentials from, no port that browsers can use, or all \
                         credentials of this user are revoked";
const NO_TOKEN: &str =
    "rooms are for those with a room token here, and so is the check: send one as \"Authorization: Bearer\"";
const FOREIGN_PAGE: &str =
    "only this server's own pages may check: a backend asks /api/v1/ice-servers with a key";
