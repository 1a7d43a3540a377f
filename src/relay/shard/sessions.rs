//! Answers an administrator's questions about the sessions of this shard, and ends sessions.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::clock::Now;
use crate::observed::session::{Session, SessionId};
use crate::outcome::Ending;
use crate::relay::engine::sessions::{Ended, Piece, Wanted};
use crate::relay::shard::Shard;

/// A question to a shard, with the place for its answer. None takes longer than a fraction of a millisecond.
#[derive(Debug)]
pub(in crate::relay) enum Question {
    /// A piece of a list, which begins with this slot.
    List(Wanted, usize, oneshot::Sender<Piece>),
    /// Everything about one session, if it exists.
    Show(SessionId, oneshot::Sender<Option<Session>>),
    /// End a session. The answer is its user tag, if it existed.
    End(SessionId, oneshot::Sender<Option<Box<str>>>),
    /// End sessions of a user, beginning with this slot. The answer is how many have ended, and the slot to continue with.
    EndUser(Arc<str>, usize, oneshot::Sender<(usize, Option<usize>)>),
}

impl Shard {
    /// Answers a question. If its sender does not wait for the answer any more, the answer is not needed.
    pub(super) fn answer(&mut self, question: Question, now: Now) {
        match question {
            Question::List(wanted, from, answer) => {
                let _ = answer.send(self.engine.sessions(&wanted, from, now.moment));
            }
            Question::Show(id, answer) => {
                let _ = answer.send(self.engine.session(id, now.moment));
            }
            Question::End(id, answer) => {
                let ended = self.engine.end_session(id, now.moment, &mut self.ports);
                ended.iter().for_each(|ended| self.close_connection(ended, now));
                let _ = answer.send(ended.map(|ended| ended.user));
            }
            Question::EndUser(user, from, answer) => {
                let (ended, next) = self.engine.end_user(&user, from, now.moment, &mut self.ports);
                ended.iter().for_each(|ended| self.close_connection(ended, now));
                let _ = answer.send((ended.len(), next));
            }
        }
    }

    /// Closes the TCP or TLS connection of an ended session's client, so that the client notices at once. Over UDP a client
    /// notices when it refreshes.
    fn close_connection(&mut self, ended: &Ended, now: Now) {
        if let Some(stream) = ended.path.via.stream() {
            self.end_stream(stream, Ending::Kicked, now);
        }
    }
}
