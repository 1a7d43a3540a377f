/** Somebody who stands between two people in a call, with the help of a server that lies: each of them is connected with this page. */

/**
 * What the pages of the two are given. The lying server is played in their own pages: what they say to each other goes to the
 * page in between, and what that says instead goes on to the other.
 * @param {import("puppeteer-core").Page} page  of the same origin
 * @param {{ isSmart: boolean }} options  `isSmart`: it makes safety numbers of its own, and does not only pass on what it hears
 */
export async function standBetween(page, options) {
  await page.evaluate(playMiddle, options);
  const swap = (content) => page.evaluate((content) => window.swap(content), content);
  return { prepare: playServer, expose: { swap } };
}

/** Runs in the pages of the two: gives the server other signals than the page does. */
function playServer() {
  const Native = window.WebSocket;
  window.WebSocket = class WebSocket extends Native {
    #sent = Promise.resolve();
    send(text) {
      const { t, id, to, e, ...content } = JSON.parse(text);
      if (t !== "signal") return super.send(text);
      this.#sent = this.#sent.then(async () => {
        const swapped = await window.swap(content);
        // The request is answered in any case.
        super.send(JSON.stringify(swapped ? { t, id, to, e, ...swapped } : { t: "msg", id, kind: "nothing", body: "." }));
      });
    }
  };
}

/** Runs in the page in between: one connection with whoever offers, and one with the other. */
async function playMiddle({ isSmart }) {
  const { Safety } = await import(`${location.origin}/js/wire/safety.js`);
  const { Emitter } = await import(`${location.origin}/js/wire/emitter.js`);
  const clock = { now: () => performance.now() };
  const ends = { offer: open("offer", "answer"), answer: open("answer", "offer") };
  let offered = null;

  function open(name, other) {
    const pc = new RTCPeerConnection();
    const channel = pc.createDataChannel("hairpin", { negotiated: true, id: 0 });
    const member = { id: name, peer: { pc } };
    const conversation = Object.assign(new Emitter(), { tell: (note) => channel.send(JSON.stringify(note)) });
    const random = (bytes) => crypto.getRandomValues(bytes);
    const safety = isSmart && new Safety({ room: new Emitter(), conversation, subtle: crypto.subtle, random, clock });
    const isOpen = new Promise((opens) => (channel.onopen = opens));
    isOpen.then(() => {
      conversation.emit("open", member);
      // As the page does: the channel may open before the browser says what was answered.
      if (safety) setInterval(() => safety.check(member), 100);
    });
    channel.onmessage = ({ data }) => {
      const note = typeof data === "string" ? JSON.parse(data) : {};
      if (isSmart && ["promise", "secret"].includes(note.t)) conversation.emit("note", member, note);
      else ends[other].isOpen.then(() => ends[other].channel.send(data));
    };
    pc.ontrack = ({ transceiver }) => {
      const at = pc.getTransceivers().indexOf(transceiver);
      ends[other].pc.getTransceivers()[at]?.sender.replaceTrack(transceiver.receiver.track);
    };
    return { pc, channel, isOpen };
  }

  /** With all candidates in it. */
  async function described(pc) {
    await pc.setLocalDescription();
    while (pc.iceGatheringState !== "complete") await new Promise((then) => (pc.onicegatheringstatechange = then));
    return { d: { type: pc.localDescription.type, sdp: pc.localDescription.sdp } };
  }

  window.swap = async ({ d, c }) => {
    if (c) {
      // Only one of them knows these candidates: the one with the right user name.
      for (const candidate of c) for (const { pc } of Object.values(ends)) await pc.addIceCandidate(candidate).catch(() => {});
      return null;
    }
    const [near, far] = d.type === "offer" ? [ends.offer.pc, ends.answer.pc] : [ends.answer.pc, ends.offer.pc];
    await near.setRemoteDescription(d);
    if (d.type === "offer") {
      for (const { receiver } of near.getTransceivers()) far.addTransceiver(receiver.track.kind, { direction: "sendrecv" }).sender.replaceTrack(receiver.track);
      offered = d;
      return described(far);
    }
    for (const transceiver of far.getTransceivers()) transceiver.direction = "sendrecv";
    return offered && described(far);
  };
}
