// werift's side of the calls that call_peers.py describes.

import { Echo, library, obey, say } from "./node_peer.js";

const { RTCPeerConnection } = library(process.env.WERIFT ?? "werift");
const calls = new Map();

obey({
  begin: async ({ call, begin, url: urls, username, credential }) => {
    const iceServers = [{ urls, username, credential }];
    const connection = new RTCPeerConnection({ iceServers, iceTransportPolicy: "relay" });
    calls.set(call, connection);
    connection.connectionStateChange.subscribe((state) => say({ call, state }));
    connection.onDataChannel.subscribe((channel) => attend(call, channel));
    if (begin !== "offer") return;
    attend(call, connection.createDataChannel("echo"));
    await describe(call, await connection.createOffer());
  },
  describe: async ({ call, description }) => {
    const connection = calls.get(call);
    await connection.setRemoteDescription(description);
    if (description.type === "offer") await describe(call, await connection.createAnswer());
  },
  end: async () => {
    await Promise.all([...calls.values()].map((connection) => connection.close()));
    process.exit(0);
  },
});

/** Says the description with all candidates in it. */
async function describe(call, description) {
  const connection = calls.get(call);
  await connection.setLocalDescription(description);
  if (connection.iceGatheringState !== "complete") {
    await connection.iceGatheringStateChange.watch((state) => state === "complete");
  }
  const { type, sdp } = connection.localDescription;
  say({ call, description: { type, sdp } });
}

function attend(call, channel) {
  const echo = new Echo(call, (text) => channel.send(text));
  channel.onMessage.subscribe((data) => echo.take(data.toString()));
  const follow = (state) => {
    if (state === "open") echo.start();
    if (state === "closed") echo.stop();
  };
  channel.stateChanged.subscribe(follow);
  if (channel.readyState === "open") echo.start();
}
