// Opens N connections of node-datachannel one after the other, and closes each once it has gathered; says how many of
// them got a relay: `node relays.js HOST PORT USERNAME PASSWORD N`.

import { library } from "./node_peer.js";

const { PeerConnection, cleanup } = library("node-datachannel");
const [hostname, port, username, password, wanted] = process.argv.slice(2);

let relays = 0;
for (let i = 0; i < Number(wanted); i += 1) {
  if ((await gathered()).includes("typ relay")) relays += 1;
}
console.log(relays);
cleanup();

/** The description of one connection, with all candidates in it. */
function gathered() {
  const iceServers = [{ hostname, port: Number(port), username, password, relayType: "TurnUdp" }];
  const connection = new PeerConnection("relays", { iceServers, iceTransportPolicy: "relay" });
  return new Promise((resolve) => {
    connection.onGatheringStateChange((state) => {
      if (state !== "complete") return;
      resolve(connection.localDescription().sdp);
      // the library's callbacks come in turn: this one ends before the connection does
      setImmediate(() => connection.close());
    });
    connection.createDataChannel("relays");
  });
}
