//! Lists the sessions of all shards for an administrator, and ends sessions.
//!
//! A shard is asked one short question at a time, and relays packets between two of them. Only one list is put together at
//! a time, with a pause after each question, so any number of lists costs the shards a small share of their time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::observed::session::{Query, Session, SessionId, Sessions};
use crate::relay::Relay;
use crate::relay::page::Page;
use crate::relay::shard::sessions::Question;
use crate::relay::shard::{Command, Handle};

/// How long a shard is left alone after a question whose answer is not the last one. A list of 10,000 sessions takes 40 questions
/// and some 50 ms, and never keeps a processor from the packets for longer than a fraction of a millisecond.
const PAUSE: Duration = Duration::from_millis(1);

impl Relay {
    /// A page of the list of sessions. Sessions that begin or end meanwhile may be missing.
    pub async fn sessions(&self, query: &Query) -> Sessions {
        let _one_at_a_time = self.0.listing.lock().await;
        let mut page = Page::new(query);
        for shard in &self.0.shards {
            let mut from = Some(0);
            while let Some(slot) = from {
                let wanted = page.wanted();
                let piece = ask(shard, |answer| Question::List(wanted, slot, answer)).await;
                from = piece.as_ref().and_then(|piece| piece.next);
                piece.into_iter().for_each(|piece| page.add(piece));
                if from.is_some() {
                    sleep(PAUSE).await;
                }
            }
        }
        page.finish()
    }

    /// Everything about one session; `None` if there is none with this id.
    pub async fn session(&self, id: SessionId) -> Option<Session> {
        ask(self.shard_of(id)?, |answer| Question::Show(id, answer)).await?
    }

    /// Ends a session: its allocation with its permissions and channels, and its TCP connections. Returns whether it
    /// existed. Its client may allocate again, unless its credential is revoked.
    pub async fn end(&self, id: SessionId) -> bool {
        let Some(shard) = self.shard_of(id) else { return false };
        let Some(user) = ask(shard, |answer| Question::End(id, answer)).await.flatten() else { return false };
        tracing::info!(session = %id, ?user, "an administrator ended a session");
        true
    }

    /// Ends all sessions of a user tag, as [`Self::end`] does, and returns how many they were. A session that begins
    /// meanwhile may go on.
    pub async fn end_user(&self, user: &str) -> usize {
        let name: Arc<str> = user.into();
        let mut sum = 0;
        for shard in &self.0.shards {
            let mut from = Some(0);
            while let Some(slot) = from {
                let question = |answer| Question::EndUser(Arc::clone(&name), slot, answer);
                let (ended, next) = ask(shard, question).await.unwrap_or_default();
                sum += ended;
                from = next;
            }
        }
        tracing::info!(?user, sessions = sum, "an administrator ended the sessions of a user");
        sum
    }

    fn shard_of(&self, id: SessionId) -> Option<&Handle> {
        self.0.shards.get(usize::try_from(id.shard).ok()?)
    }
}

/// Asks a shard, and waits for its answer; `None` if the shard has ended.
async fn ask<T>(shard: &Handle, question: impl FnOnce(oneshot::Sender<T>) -> Question) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    shard.tell(Command::Ask(question(answer)));
    answered.await.ok()
}
