// node-datachannel's (libdatachannel's, libjuice's) side of the calls that call_peers.py describes.

import { Echo, library, obey, say } from "./node_peer.js";

const { PeerConnection, cleanup } = library("node-datachannel");
const calls = new Map();

obey({
  begin: ({ call, begin, host, port, username, credential: password }) => {
    const iceServers = [{ hostname: host, port, username, password, relayType: "TurnUdp" }];
    const connection = new PeerConnection(call, { iceServers, iceTransportPolicy: "relay" });
    calls.set(call, { connection });
    connection.onStateChange((state) => say({ call, state }));
    connection.onGatheringStateChange((state) => {
      if (state === "complete") say({ call, description: connection.localDescription() });
    });
    connection.onDataChannel((channel) => attend(call, channel));
    if (begin === "offer") attend(call, connection.createDataChannel("echo"));
  },
  describe: ({ call, description: { sdp, type } }) => calls.get(call).connection.setRemoteDescription(sdp, type),
  end: () => {
    for (const { connection } of calls.values()) connection.close();
    cleanup();
    process.exit(0);
  },
});

function attend(call, channel) {
  // the library's object is the channel: who lets it go closes it
  calls.get(call).channel = channel;
  const echo = new Echo(call, (text) => channel.isOpen() && channel.sendMessage(text));
  channel.onMessage((data) => echo.take(data.toString()));
  channel.onOpen(() => echo.start());
  channel.onClosed(() => echo.stop());
  if (channel.isOpen()) echo.start();
}
