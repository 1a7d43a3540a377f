/**
 * Two clients of socket.io, as npm publishes it, in one room: `node socketio_client.js URL ORIGIN TRANSPORTS ROOM [TOKEN]`. Prints what they heard as
 * JSON. In the middle, the network of the second fails, and it comes back by itself.
 */

import { once } from "node:events";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.COMPAT_NODE}/`);
const { io } = require("socket.io-client");

const [url, origin, transports, room, token] = process.argv.slice(2);
const options = {
  transports: transports.split(","),
  extraHeaders: origin ? { Origin: origin } : {},
  auth: token ? { token } : {},
  reconnectionDelay: 100,
};
const heard = { ada: [], bob: [] };

/** @param {"ada" | "bob"} name */
async function client(name) {
  const socket = io(url, { ...options, forceNew: true });
  socket.onAny((event, ...args) => heard[name].push([event, ...args]));
  socket.on("connect_error", (error) => heard[name].push(["connect_error", error.message]));
  const connected = await Promise.race([once(socket, "connect").then(() => true), once(socket, "connect_error").then(() => false)]);
  if (!connected) end();
  return socket;
}

/** @param {import("node:events").EventEmitter} socket @param {string} event */
const next = (socket, event) => new Promise((resolve) => socket.once(event, (...args) => resolve(args)));

function end() {
  console.log(JSON.stringify({ heard, transport }));
  process.exit(0);
}

let transport = "";
const ada = await client("ada");
let told = next(ada, "created");
ada.emit("join", room);
await told;
const bob = await client("bob");
told = next(bob, "ready");
bob.emit("join", room);
await told;
told = next(ada, "offer");
bob.emit("offer", { type: "offer", sdp: "v=0" }, room);
await told;
told = next(bob, "answer");
ada.emit("answer", { type: "answer", sdp: "v=0" }, room);
await told;
if (options.transports.length > 1) {
  while (bob.io.engine.transport.name !== "websocket") await next(bob.io.engine, "upgrade");
}
transport = bob.io.engine.transport.name;
// The network fails: the client comes back, and enters again as pages do at `connect`.
const back = next(bob, "connect");
bob.io.engine.close();
await back;
told = next(bob, "ready");
bob.emit("join", room);
await told;
told = next(ada, "offer");
bob.emit("offer", { type: "offer", sdp: "again" }, room);
await told;
ada.disconnect();
bob.disconnect();
end();
