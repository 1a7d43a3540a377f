/** A clock, a WebSocket, an RTCPeerConnection and devices that do what a test says, at once. */

export class FakeClock {
  #now = 0;
  #due = [];

  now = () => this.#now;

  after = (ms, then) => {
    const entry = { at: this.#now + ms, then };
    this.#due.push(entry);
    return () => (this.#due = this.#due.filter((other) => other !== entry));
  };

  /** Lets so much time pass, and everything happen that is due meanwhile. */
  async advance(ms) {
    const until = this.#now + ms;
    for (;;) {
      await settled();
      const next = this.#due.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.#due.splice(this.#due.indexOf(next), 1);
      this.#now = next.at;
      next.then();
    }
    this.#now = until;
    await settled();
  }
}

/** When all promises that can be kept are kept, and those that they lead to. */
export async function settled() {
  for (let turn = 0; turn < 6; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

export class FakeSocket {
  static all = [];
  static get last() {
    return FakeSocket.all.at(-1);
  }

  readyState = 0;
  sent = [];

  constructor(url, protocol) {
    Object.assign(this, { url, protocol });
    FakeSocket.all.push(this);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    this.readyState = 3;
    this.closedWith = code;
  }

  opens() {
    this.readyState = 1;
    this.onopen?.();
  }

  hears(frame) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  breaks(code = 1006) {
    this.readyState = 3;
    this.onclose?.({ code });
  }
}

/** As much of a peer connection as negotiation needs: its states, implicit rollback, and what each description offered. */
export class FakePeerConnection {
  static all = [];
  static offers = ["audio", "video", "video"];

  signalingState = "stable";
  connectionState = "new";
  localDescription = null;
  remoteDescription = null;
  candidates = [];
  transceivers = [];
  /** What the other side offers. */
  offered = FakePeerConnection.offers;
  restarts = 0;
  #needed = false;
  #count = 0;

  constructor(configuration) {
    this.configuration = configuration;
    FakePeerConnection.all.push(this);
  }

  addTransceiver(kind) {
    const transceiver = fakeTransceiver(kind);
    this.transceivers.push(transceiver);
    this.need();
    return transceiver;
  }

  getTransceivers() {
    return this.transceivers;
  }

  createDataChannel() {
    return { readyState: "connecting" };
  }

  setConfiguration(configuration) {
    this.configuration = configuration;
  }

  restartIce() {
    this.restarts += 1;
    this.need();
  }

  /** Something has changed that the other side must know of. */
  need() {
    if (this.#needed) return;
    this.#needed = true;
    setImmediate(() => this.#ask());
  }

  async setLocalDescription() {
    await null;
    const type = this.signalingState === "have-remote-offer" ? "answer" : "offer";
    if (type === "offer") this.signalingState = "have-local-offer";
    else this.#stable(false);
    if (type === "offer") this.#needed = false;
    const sdp = `${type} ${(this.#count += 1)}`;
    this.localDescription = { type, sdp };
  }

  async setRemoteDescription(description) {
    await null;
    if (this.signalingState === "closed") throw new Error("InvalidStateError");
    if (description.type === "answer" && this.signalingState !== "have-local-offer") throw new Error("InvalidStateError");
    this.remoteDescription = description;
    if (description.type === "answer") return this.#stable(true);
    // What was offered is taken back, and must be offered again.
    if (this.signalingState === "have-local-offer") this.#needed = true;
    this.signalingState = "have-remote-offer";
    for (const [mid, kind] of this.offered.entries()) {
      if (this.transceivers.some((it) => it.mid === String(mid))) continue;
      this.transceivers.push({ ...fakeTransceiver(kind), mid: String(mid) });
    }
  }

  async addIceCandidate(candidate) {
    if (!this.remoteDescription) throw new Error("InvalidStateError");
    if (candidate?.candidate === "bad") throw new Error("OperationError");
    this.candidates.push(candidate);
  }

  close() {
    this.signalingState = this.connectionState = "closed";
  }

  becomes(state) {
    this.connectionState = state;
    this.onconnectionstatechange?.();
  }

  /** What this side has added is part of the session once it was part of an offer. */
  #stable(isOffered) {
    this.signalingState = "stable";
    if (isOffered) for (const [mid, transceiver] of this.transceivers.entries()) transceiver.mid ??= String(mid);
    if (this.#needed) setImmediate(() => this.#ask());
  }

  #ask() {
    if (this.#needed && this.signalingState === "stable") this.onnegotiationneeded?.();
  }
}

function fakeTransceiver(kind) {
  const sender = { track: null, replaceTrack: async (track) => void (sender.track = track) };
  return { mid: null, currentDirection: null, direction: "sendrecv", sender, receiver: { track: { kind } }, stop() {
    this.direction = "stopped";
  } };
}

/** Two data channels, each the other's far end. */
export function channelPair() {
  const [a, b] = [new FakeChannel(), new FakeChannel()];
  a.far = b;
  b.far = a;
  return [a, b];
}

class FakeChannel extends EventTarget {
  readyState = "open";
  bufferedAmount = 0;
  /** The largest amount that has ever waited. */
  most = 0;
  biggest = 0;
  sent = 0;

  /** As a connection that is closed on this side does it: without an event. */
  close() {
    this.readyState = "closed";
  }

  send(data) {
    if (this.readyState !== "open") throw new Error("InvalidStateError");
    const size = data.byteLength ?? data.length;
    this.sent += 1;
    this.biggest = Math.max(this.biggest, size);
    this.bufferedAmount += size;
    this.most = Math.max(this.most, this.bufferedAmount);
    const copy = typeof data === "string" ? data : data.slice().buffer;
    setImmediate(() => {
      if (this.readyState !== "open" || this.far.readyState !== "open") return;
      this.bufferedAmount -= size;
      this.far.onmessage?.({ data: copy });
      if (this.bufferedAmount <= this.bufferedAmountLowThreshold) this.dispatchEvent(new Event("bufferedamountlow"));
    });
  }
}

export const fail = (name) => Promise.reject(Object.assign(new Error(), { name }));

/** A track of a device. The system may take the device away, and give it back. */
export function track(kind, deviceId = "") {
  return {
    kind,
    label: deviceId,
    enabled: true,
    muted: false,
    readyState: "live",
    getSettings: () => ({ deviceId }),
    stop() {
      this.readyState = "ended";
    },
    mutes() {
      this.muted = true;
      this.onmute?.();
    },
    unmutes() {
      this.muted = false;
      this.onunmute?.();
    },
    ends() {
      this.readyState = "ended";
      this.onended?.();
    },
  };
}

/** Devices of which `getUserMedia` does what the test says; those that are there are in `plugged`. */
export function devices(getUserMedia) {
  const asked = [];
  const given = [];
  const fake = Object.assign(new EventTarget(), {
    asked,
    given,
    plugged: [],
    enumerateDevices: async () => fake.plugged,
    getUserMedia: async (wish) => {
      asked.push(wish);
      const answer = await getUserMedia?.(wish);
      const tracks = ["audio", "video"].filter((kind) => wish[kind]).map((kind) => track(kind, wish[kind].deviceId?.exact ?? answer ?? ""));
      if (fake.isMuted) tracks.forEach((it) => (it.muted = true));
      given.push(...tracks);
      return { getTracks: () => tracks, getAudioTracks: () => tracks.filter(({ kind }) => kind === "audio"), getVideoTracks: () => tracks.filter(({ kind }) => kind === "video") };
    },
    getDisplayMedia: async () => {
      const screen = track("video");
      given.push(screen);
      return { getVideoTracks: () => [screen], getAudioTracks: () => [], getTracks: () => [screen] };
    },
    /** From now on these are there, as `kind:id`. */
    plugs(...names) {
      fake.plugged = names.map((name) => ({ kind: `${name.split(":")[0]}input`, deviceId: name.split(":")[1], label: "" }));
      fake.dispatchEvent(new Event("devicechange"));
      return settled();
    },
  });
  return fake;
}
