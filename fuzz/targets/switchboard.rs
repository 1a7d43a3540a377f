//! A switchboard: what eight clients say, line by line, over sockets that open, break and come back.
//!
//! `0{"t":...}` is a message of client 0, in which `$p1`, `$r1` and `$h1` stand for the peer id, the resume token and the host
//! token that client 1 was last given. `0+` opens a socket, `0-` loses it, `0r` resumes, `0a` acknowledges all, and `0t` lets as
//! many seconds pass as the next byte says.
#![no_main]

use hairpin::sections::rooms::Rooms;
use hairpin::signaling::protocol::parse::parse;
use hairpin::signaling::protocol::{ClientMessage, Hello, Request};
use hairpin::signaling::sessions::SocketId;
use hairpin_fuzz::signaling::{RULES, World};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const CLIENTS: usize = 8;
const STEPS_MAX: usize = 200;

#[derive(Default)]
struct Client {
    socket: Option<SocketId>,
    peer: String,
    resume: String,
    host: String,
    /// The number of the last frame that arrived.
    last: u64,
    /// The number from which the last `hello` resumes a session: the frames after it are sent again.
    resumes_from: u64,
}

struct Run {
    world: World,
    clients: [Client; CLIENTS],
}

impl Run {
    fn take(&mut self, line: &str) {
        let Some((who, said)) = line.split_at_checked(1) else { return };
        let who = usize::from(who.as_bytes()[0]) % CLIENTS;
        match said.as_bytes() {
            [b'{', ..] => self.say(who, said),
            [b'+', ..] => self.open(who),
            [b'-', ..] => self.lose(who),
            [b'r', ..] => self.resume(who),
            [b'a', ..] => {
                if let Some(socket) = self.clients[who].socket {
                    self.world.board.acknowledge(socket, self.clients[who].last);
                }
            }
            [b't', seconds, ..] => self.world.pass(u64::from(*seconds)),
            _ => {}
        }
        self.listen();
    }

    fn open(&mut self, who: usize) {
        if self.clients[who].socket.is_none() {
            self.clients[who].socket = Some(self.world.open());
        }
    }

    fn say(&mut self, who: usize, text: &str) {
        self.open(who);
        let Some(socket) = self.clients[who].socket else { return };
        let mut text = text.to_owned();
        for (index, Client { peer, resume, host, .. }) in self.clients.iter().enumerate() {
            for (kind, value) in [('p', peer), ('r', resume), ('h', host)] {
                text = text.replace(&format!("${kind}{index}"), value);
            }
        }
        if let Ok(Request { message: ClientMessage::Hello(Hello { resume: Some(resume), .. }), .. }) =
            parse(&text)
        {
            self.clients[who].resumes_from = resume.last;
        }
        self.world.say_text(socket, &text);
    }

    fn lose(&mut self, who: usize) {
        if let Some(socket) = self.clients[who].socket.take() {
            self.world.lose(socket);
        }
    }

    fn resume(&mut self, who: usize) {
        self.lose(who);
        let (resume, last) = (self.clients[who].resume.clone(), self.clients[who].last);
        self.open(who);
        self.say(who, &format!(r#"{{"t":"hello","v":[1],"resume":"{resume}","last":{last}}}"#));
    }

    /// Everybody reads what came: frames are JSON with rising numbers, and a closed socket is gone.
    fn listen(&mut self) {
        for client in &mut self.clients {
            let Some(socket) = client.socket else { continue };
            for message in self.world.heard(socket) {
                let learn = |known: &mut String, field: &str| {
                    if let Some(text) = message[field].as_str() {
                        text.clone_into(known);
                    }
                };
                match message["t"].as_str() {
                    Some("welcome") => {
                        learn(&mut client.resume, "resume");
                        let is_resumed = message["resumed"] == Value::Bool(true);
                        client.last = if is_resumed { client.resumes_from } else { 0 };
                    }
                    Some("joined") => {
                        learn(&mut client.peer, "you");
                        learn(&mut client.host, "host_token");
                    }
                    Some(_) => {}
                    None => panic!("a message has a type: {message}"),
                }
                if let Some(n) = message["n"].as_u64() {
                    assert!(n > client.last, "numbers rise: {} and then {message}", client.last);
                    client.last = n;
                }
            }
            if self.world.closed(socket).is_some() {
                client.socket = None;
                self.world.lose(socket);
            }
        }
    }
}

fuzz_target!(|input: &str| {
    let rules = Rooms { knock: input.starts_with('k'), ..RULES };
    let mut run = Run { world: World::new(rules), clients: Default::default() };
    for line in input.lines().take(STEPS_MAX) {
        run.take(line);
    }
    for who in 0..CLIENTS {
        run.lose(who);
    }
    run.world.pass(10_000);
});
