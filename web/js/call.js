// @ts-check
/** The page of a room: the lobby, then the call, then why it is over. */

import { startBar } from "./view/bar.js";
import { Call } from "./view/call.js";
import { button, html } from "./view/dom.js";
import { Level } from "./view/level.js";
import { Lobby } from "./view/lobby.js";
import { mix } from "./view/mixer.js";
import { recall, recallHost, recallOff, rememberOff, takeLastCall } from "./view/memory.js";
import { showNotice } from "./view/notice.js";
import { sit } from "./view/seated.js";
import { Sound } from "./view/sound.js";
import { askedOf } from "./wire/asked.js";
import { makeCertificates } from "./wire/certificate.js";
import { systemClock } from "./wire/clock.js";
import { preferences } from "./wire/codecs.js";
import { askDoor } from "./wire/door.js";
import { isInApp } from "./wire/inapp.js";
import { roomAt, socketAt } from "./wire/link.js";
import { Media } from "./wire/media.js";
import { isCurrent } from "./wire/pass.js";
import { isInCall } from "./wire/rejoin.js";
import { Room } from "./wire/room.js";
import { Signaling } from "./wire/signaling.js";

await startBar();
// Who was told that the key was missing pastes the whole link into the same tab.
addEventListener("hashchange", () => html("call").hidden && location.reload());
const link = roomAt(location);
if (!link) showNotice("room_name_invalid");
else if (!("RTCPeerConnection" in window)) cannotCall();
else start(link);

async function cannotCall() {
  if (!isInApp(navigator.userAgent)) return showNotice("unsupported");
  showNotice("inapp");
  const { showElsewhere } = await import("./view/elsewhere.js");
  showElsewhere(html("notice-actions"));
}

/** @param {import("./wire/link.js").RoomLink} link */
function start(link) {
  const { name: room, key } = link;
  /** What lets this browser open the room, where not everybody may. */
  const passes = [recall("room-token")].filter((token) => isCurrent(token, Date.now())).concat(link.token ?? []);
  const asked = askedOf(location.search);
  const choice = { camera: recall("camera"), microphone: recall("microphone") };
  const media = new Media(navigator.mediaDevices, choice, navigator.permissions, {
    clock: systemClock,
    isSeen: () => document.visibilityState === "visible",
    off: recallOff() ?? asked.off,
    isMusic: recall("music") !== "",
    isBlurred: recall("blur") !== "",
    mix,
  });
  const sound = new Sound(button("tap"));
  const level = new Level();
  media.on("devices", () => sound.see(media.devices));
  media.on("changed", () => rememberOff(media.off));
  const lobby = new Lobby({ media, sound, level, room, name: asked.name || recall("name"), enter });
  const frame = parent === window ? null : import("./view/frame.js").then(({ showInFrame }) => showInFrame(media), () => null);
  const made = Promise.all([makeCertificates(RTCPeerConnection), preferences(RTCRtpReceiver, navigator.mediaCapabilities)]);
  lobby.ask();
  const last = takeLastCall();
  const [visit] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));
  if (last && isInCall(last, { room, now: Date.now(), isReload: visit?.type === "reload" })) enter(last.name, last.policy);

  /** @param {string} name @param {RTCIceTransportPolicy} policy */
  async function enter(name, policy) {
    const signaling = new Signaling({ url: socketAt(location), WebSocket, clock: systemClock, random: Math.random, token: passes[0] });
    signaling.prepare();
    lobby.setJoining(true);
    const [[certificates, codecs], place] = await Promise.all([made, sit(room)]);
    if (!place) {
      signaling.close();
      return lobby.setJoining(false);
    }
    passes.shift();
    const inside = new Room({
      name: room,
      key,
      // A tab that is duplicated has the proof, too, and would silently become the host.
      hostToken: place.isSecond ? undefined : recallHost(room),
      me: { name, state: { mic: media.microphoneIsOn, cam: media.cameraIsOn, screen: false, hand: false } },
      signaling,
      RTCPeerConnection,
      tracks: () => media.tracks,
      stream: new MediaStream(),
      codecs,
      certificates,
      clock: systemClock,
      policy,
      askToken: async () => passes.shift() ?? askPassword(),
    });
    (await frame)?.follow(inside, signaling);
    // While the server answers, the page is built.
    signaling.open();
    new Call({ room: inside, link, signaling, media, sound, level, lobby, seat: place.seat });
  }
}

/** Where people need a password to open a room, asks for it. */
async function askPassword() {
  if ((await askDoor(fetch, systemClock))?.create !== "password") return "";
  return (await import("./view/password.js")).askPassword();
}
