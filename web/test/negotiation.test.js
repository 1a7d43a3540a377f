import assert from "node:assert/strict";
import { test } from "node:test";

import { Negotiation } from "../js/wire/negotiation.js";
import { CANDIDATES_MAX } from "../js/wire/protocol.js";
import { FakeClock, FakePeerConnection, settled } from "./fakes.js";

/** Two sides whose signals arrive when the test lets them. */
function pair() {
  const clock = new FakeClock();
  const sides = [true, false].map((polite) => {
    const side = { pc: new FakePeerConnection(), inbox: [], said: [], failures: 0, doubts: 0, accepted: 0, clock };
    side.negotiation = new Negotiation({
      pc: side.pc,
      polite,
      send: (content) => {
        side.said.push(content);
        side.other.inbox.push(content);
      },
      accept: () => (side.accepted += 1),
      fail: () => (side.failures += 1),
      doubt: () => (side.doubts += 1),
      clock,
    });
    return side;
  });
  sides[0].other = sides[1];
  sides[1].other = sides[0];
  const deliver = async () => {
    for (let round = 0; round < 20; round += 1) {
      await clock.advance(50);
      for (const side of sides) for (const content of side.inbox.splice(0)) side.negotiation.hear(content);
    }
    await settled();
  };
  return { polite: sides[0], impolite: sides[1], deliver };
}

test("one offers, the other answers", async () => {
  const { polite, impolite, deliver } = pair();
  polite.pc.need();
  await deliver();
  assert.deepEqual([polite, impolite].map(({ pc }) => pc.signalingState), ["stable", "stable"]);
  assert.deepEqual(impolite.said.map(({ d }) => d.type), ["answer"]);
  assert.equal(impolite.accepted, 1);
});

test("when both offer at once, the polite side gives way, and what it wanted is negotiated afterwards", async () => {
  for (let round = 0; round < 50; round += 1) {
    const { polite, impolite, deliver } = pair();
    polite.pc.need();
    impolite.pc.need();
    await deliver();
    assert.deepEqual([polite, impolite].map(({ pc, failures }) => [pc.signalingState, failures]), [["stable", 0], ["stable", 0]]);
    assert.deepEqual(polite.said.map(({ d }) => d.type), ["offer", "answer", "offer"]);
    assert.deepEqual(impolite.said.map(({ d }) => d.type), ["offer", "answer"]);
  }
});

test("candidates that come before their description wait for it", async () => {
  const { impolite } = pair();
  await impolite.negotiation.hear({ c: [{ candidate: "a" }, null] });
  assert.deepEqual(impolite.pc.candidates, []);
  await impolite.negotiation.hear({ d: { type: "offer", sdp: "" } });
  assert.deepEqual(impolite.pc.candidates, [{ candidate: "a" }, undefined]);
});

/** Each offer can make a page look for every way again, and use up the allocations of who it is made to. */
test("a member that offers without end is answered once a second, and its last offer is what counts", async () => {
  const { impolite, polite } = pair();
  const { clock } = impolite;
  for (let i = 1; i <= 300; i += 1) {
    impolite.negotiation.hear({ d: { type: "offer", sdp: `${i}` } });
    impolite.negotiation.hear({ c: [{ candidate: `of ${i}` }] });
    await clock.advance(33);
  }
  await clock.advance(2000);
  await settled();
  assert.ok(impolite.accepted >= 10 && impolite.accepted <= 17, `${impolite.accepted}`);
  assert.equal(impolite.pc.remoteDescription.sdp, "300");
  assert.deepEqual(impolite.pc.candidates.at(-1), { candidate: "of 300" });
  assert.deepEqual([impolite.failures, polite.failures], [0, 0]);
});

test("no more than 256 candidates wait for a description", async () => {
  const { impolite } = pair();
  for (let i = 0; i < 300; i += 1) await impolite.negotiation.hear({ c: [{ candidate: `${i}` }] });
  await impolite.negotiation.hear({ d: { type: "offer", sdp: "" } });
  assert.equal(impolite.pc.candidates.length, 256);
  assert.deepEqual(impolite.pc.candidates.at(-1), { candidate: "255" });
});

test("candidates of an offer that is ignored are dropped without a word; others raise a doubt", async () => {
  const { impolite } = pair();
  await impolite.negotiation.hear({ d: { type: "offer", sdp: "" } });
  impolite.pc.need();
  await settled();
  await settled();
  await impolite.negotiation.hear({ d: { type: "offer", sdp: "glare" } });
  await impolite.negotiation.hear({ c: [{ candidate: "bad" }] });
  assert.deepEqual([impolite.doubts, impolite.failures], [0, 0]);
  await impolite.negotiation.hear({ d: { type: "answer", sdp: "" } });
  await impolite.negotiation.hear({ c: [{ candidate: "bad" }] });
  assert.deepEqual([impolite.doubts, impolite.failures], [1, 0]);
});

test("an offer that comes while an answer is being applied is taken, not ignored", async () => {
  const { impolite } = pair();
  impolite.pc.need();
  await settled();
  await settled();
  assert.equal(impolite.pc.signalingState, "have-local-offer");
  const answer = impolite.negotiation.hear({ d: { type: "answer", sdp: "" } });
  const offer = impolite.negotiation.hear({ d: { type: "offer", sdp: "next" } });
  await Promise.all([answer, offer]);
  assert.equal(impolite.pc.remoteDescription.sdp, "next");
  assert.equal(impolite.said.at(-1).d.type, "answer");
});

test("an answer to nothing is a failure", async () => {
  const { polite } = pair();
  await polite.negotiation.hear({ d: { type: "answer", sdp: "" } });
  assert.equal(polite.failures, 1);
});

test("candidates travel together, and never more in a frame than the server takes", async () => {
  const { polite, deliver } = pair();
  const found = (candidate) => polite.pc.onicecandidate({ candidate: candidate && { toJSON: () => ({ candidate }) } });
  for (let i = 0; i < CANDIDATES_MAX + 5; i += 1) found(`c${i}`);
  found(null);
  await deliver();
  assert.deepEqual(polite.said.map(({ c }) => c.length), [CANDIDATES_MAX, 6]);
  assert.equal(polite.said[1].c.at(-1), null);
});
