// npm's PeerJS server, to compare with: `node peer_server.js PORT allow_discovery|""`. Says "ready" once it serves.

import { createRequire } from "node:module";

const { PeerServer } = createRequire(`${process.env.COMPAT_NODE}/`)("peer");
const [port, discovery] = process.argv.slice(2);

const options = { host: "127.0.0.1", port: Number(port), path: "/peerjs", allow_discovery: discovery === "allow_discovery" };
// Without a listener, a message that is no JSON ends the process.
PeerServer(options, () => console.log("ready")).on("error", () => {});
