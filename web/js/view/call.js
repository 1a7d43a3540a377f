// @ts-check
/** The call itself: binds the room, the devices and the parts of the page to each other. */

import { Conversation } from "../wire/conversation.js";
import { isRandom, pathOf, roomAt } from "../wire/link.js";
import { GONE_OURSELVES } from "../wire/room.js";
import { stayAwake } from "./awake.js";
import { languageSelect, themeSelect } from "./bar.js";
import { Chat } from "./chat.js";
import { Tie } from "./connection.js";
import { showDevices } from "./devices.js";
import { button, html, input, make } from "./dom.js";
import { startInvite } from "./invite.js";
import { onKeys } from "./keys.js";
import { currentLanguage, onLanguage, say, silence, text } from "./language.js";
import { Level } from "./level.js";
import { rememberHost } from "./memory.js";
import { Meter } from "./meter.js";
import { hideNotice, showNotice } from "./notice.js";
import { Panel } from "./panel.js";
import { People } from "./people.js";
import { Stage } from "./stage.js";
import { showSwitch } from "./switches.js";
import { copy, dismiss, toast } from "./toasts.js";

/** @typedef {import("../wire/room.js").Member} Member */

const SELF = "self";
/** After so long without the server it is said in other words. */
const GONE_AFTER = 10_000;
/** Who is named so soon was here before. */
const ARRIVING = 500;
/** After a restart of the server everybody returns within so long. */
const RETURNING = 8_000;
/** Louder than that is speech. */
const SPEAKING_FROM = 0.35;

export class Call {
  #room;
  #roomName;
  #signaling;
  #media;
  #sound;
  #lobby;
  #stage = new Stage();
  #level = new Level();
  /** @type {Map<string, Tie>} */
  #ties = new Map();
  #panel = new Panel((sheet) => this.#panelChanged(sheet));
  #chat;
  #meter;
  #wasHost = false;
  #isIn = false;
  #quietUntil = Infinity;
  #goneTimer = 0;
  #speaking = 0;
  #sleep = () => {};

  /**
   * @param {object} parts
   * @param {import("../wire/room.js").Room} parts.room
   * @param {string} parts.roomName
   * @param {import("../wire/signaling.js").Signaling} parts.signaling
   * @param {import("../wire/media.js").Media} parts.media
   * @param {import("./sound.js").Sound} parts.sound
   * @param {import("./lobby.js").Lobby} parts.lobby
   */
  constructor({ room, roomName, signaling, media, sound, lobby }) {
    this.#room = room;
    this.#roomName = roomName;
    this.#signaling = signaling;
    this.#media = media;
    this.#sound = sound;
    this.#lobby = lobby;
    this.#chat = new Chat({
      conversation: new Conversation(room),
      room,
      isOpen: () => this.#panel.open === "chat",
      show: () => this.#panel.show("chat"),
    });
    this.#meter = new Meter({
      members: () => room.members.values(),
      measured: (member) => this.#showMember(member),
      heard: (id, isSpeaking) => this.#stage.tile(id)?.speak(isSpeaking),
    });
    this.#watchRoom();
    this.#watchMedia();
    this.#watchNetwork();
    this.#bindControls();
    this.#gone(true);
  }

  #watchRoom() {
    const room = this.#room;
    room.on("waiting", () => showNotice("waiting"));
    room.on("joined", () => this.#joined());
    room.on("out", (reason) => this.#over(reason));
    room.on("came", (member) => this.#came(member));
    room.on("left", (member, reason) => this.#left(member, reason));
    room.on("changed", (member) => this.#showMember(member));
    room.on("room", () => this.#roomChanged());
    room.on("knocks", () => this.#knocked());
    this.#signaling.on("state", (state) => this.#gone(state !== "up"));
    new People(room);
  }

  #watchMedia() {
    const media = this.#media;
    media.on("track", (kind, track) => this.#room.replaceTrack(kind, track));
    media.on("changed", () => this.#mediaChanged());
    media.on("devices", () => this.#mediaChanged());
  }

  #watchNetwork() {
    const changed = () => this.#room.networkChanged();
    addEventListener("online", changed);
    onOtherNetwork(changed);
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState !== "visible" || !this.#isIn) return;
      this.#signaling.probe();
      this.#media.revive();
    });
    // Those who stay should not wait for somebody who is gone.
    addEventListener("pagehide", () => this.#room.leave());
    addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
  }

  #bindControls() {
    const media = this.#media;
    const act = {
      mic: async () => {
        await media.setMicrophone(!media.microphoneIsOn);
        if (media.failures.audio && !media.microphoneIsOn) toast(`failure.microphone.${media.failures.audio}`);
      },
      cam: async () => {
        await media.setCamera(!media.cameraIsOn);
        if (media.failures.video && !media.cameraIsOn) toast(`failure.${media.failures.video}.title`);
      },
      share: () => void (media.screenIsOn ? media.stopScreen() : media.shareScreen()),
      flip: () => void media.switchCamera(),
      leave: () => {
        this.#room.leave();
        this.#over("left");
      },
    };
    for (const [id, does] of Object.entries(act)) button(id).addEventListener("click", does);
    const inCall = (/** @type {() => void} */ does) => () => (this.#isIn ? does() : undefined);
    onKeys({ M: inCall(act.mic), V: inCall(act.cam), S: inCall(act.share), C: inCall(() => this.#panel.toggle("chat")) });
    button("share").hidden = !media.canShareScreen;
    input("relay-only").addEventListener("change", () => this.#useRelay(input("relay-only").checked));
    button("copy-report").addEventListener("click", () => this.#copyReport());
    showDevices(html("call-devices"), media, this.#sound);
    html("call-preferences").append(
      make("div", "", say(make("p", "label"), "bar.language"), languageSelect()),
      make("div", "", say(make("p", "label"), "bar.theme"), themeSelect()),
    );
  }

  #joined() {
    if (this.#room.hostToken) rememberHost(this.#roomName, this.#room.hostToken);
    // Who is here already, or comes back together with us, is no news.
    this.#quietUntil = performance.now() + (this.#isIn ? RETURNING : ARRIVING);
    if (this.#isIn) return;
    this.#isIn = true;
    this.#lobby.close();
    hideNotice();
    html("bar").hidden = true;
    html("call").hidden = false;
    this.#nameRoom();
    onLanguage(() => this.#nameRoom());
    startInvite(location.origin + pathOf(roomAt(location) ?? { name: this.#roomName, key: "" }));
    const { video } = this.#stage.add(SELF, { isSelf: true });
    video.srcObject = new MediaStream();
    this.#level.listen(this.#media.tracks.audio);
    this.#speaking = window.setInterval(() => this.#stage.tile(SELF)?.speak(this.#isSpeaking), 150);
    this.#mediaChanged();
    this.#countPeople();
    this.#sleep = stayAwake();
    html("room-name").focus();
  }

  #nameRoom() {
    const isPrivate = isRandom(this.#roomName);
    if (isPrivate) say(html("room-name"), "call.room.private");
    else silence(html("room-name"), this.#roomName);
    document.title = text("title.room", { room: isPrivate ? text("title.call") : this.#roomName });
  }

  /** @param {Member} member */
  #came(member) {
    const { id, peer } = member;
    const tile = this.#stage.add(id, { isSelf: false, onDot: () => this.#panel.show("connection") });
    peer.on("track", (track) => this.#play(id, track));
    peer.on("state", () => this.#showMember(member));
    peer.on("struggling", () => this.#offerRelay(member));
    tile.video.srcObject = new MediaStream();
    const tie = new Tie();
    this.#ties.set(id, tie);
    html("connections").append(tie.element);
    this.#showMember(member);
    this.#countPeople();
    if (performance.now() > this.#quietUntil) toast("toast.came", { name: member.name });
  }

  /** @param {Member} member @param {string} reason */
  #left({ id, name }, reason) {
    const tile = this.#stage.tile(id);
    if (tile) this.#sound.forget(tile.video);
    this.#stage.remove(id);
    this.#ties.get(id)?.element.remove();
    this.#ties.delete(id);
    this.#meter.histories.delete(id);
    this.#countPeople();
    if (reason === GONE_OURSELVES) return;
    toast(reason === "kicked" ? "toast.kicked" : reason === "left" ? "toast.left" : "toast.lost", { name });
  }

  /** A connection that is built anew brings new tracks, which take the place of the old. @param {string} id @param {MediaStreamTrack} track */
  #play(id, track) {
    const tile = this.#stage.tile(id);
    if (!tile) return;
    const old = tile.video.srcObject instanceof MediaStream ? tile.video.srcObject.getTracks() : [];
    tile.video.srcObject = new MediaStream([...old.filter(({ kind }) => kind !== track.kind), track]);
    this.#sound.play(tile.video);
  }

  /** @param {Member} member */
  #showMember(member) {
    const { id, name, state, away } = member;
    if (!this.#room.members.has(id)) return;
    this.#stage.show(id, { ...state, name, away, quality: this.#meter.quality(member) });
    if (this.#panel.open === "connection") this.#ties.get(id)?.draw(name, this.#meter.history(id).readings);
  }

  #mediaChanged() {
    const { microphoneIsOn: mic, cameraIsOn: cam, screenIsOn: screen, tracks, devices } = this.#media;
    showSwitch(button("mic"), "mic", mic);
    showSwitch(button("cam"), "camera", cam);
    showSwitch(button("share"), "screen", screen);
    const cameras = devices.filter(({ kind }) => kind === "videoinput");
    button("flip").hidden = !cam || cameras.length < 2 || !matchMedia("(pointer: coarse)").matches;
    const { state, name } = this.#room.me;
    const isNew = state.mic !== mic || state.cam !== cam || state.screen !== screen;
    if (isNew && this.#isIn) this.#room.show({ mic, cam, screen });
    const tile = this.#stage.tile(SELF);
    if (!tile) return;
    const shown = tile.video.srcObject instanceof MediaStream ? tile.video.srcObject.getTracks()[0] : undefined;
    if (shown !== (tracks.video ?? undefined)) tile.video.srcObject = new MediaStream(tracks.video ? [tracks.video] : []);
    this.#level.listen(tracks.audio);
    this.#stage.show(SELF, { name, mic, cam, screen, mirrored: !isRearCamera(this.#media.camera) });
  }

  get #isSpeaking() {
    return this.#media.microphoneIsOn && this.#level.value > SPEAKING_FROM;
  }

  #roomChanged() {
    const { isHost } = this.#room;
    if (isHost && !this.#wasHost && this.#isIn) toast("toast.host");
    this.#wasHost = isHost;
  }

  #knocked() {
    dismiss("people.admit");
    const newest = [...this.#room.knocks].at(-1);
    if (!newest || this.#panel.open === "people") return;
    const [id, name] = newest;
    toast("people.knocks", { name }, { key: "people.admit", act: () => this.#room.decide("admit", id) });
  }

  #countPeople() {
    html("alone").hidden = !this.#isIn || this.#room.members.size > 0;
    html("connection-empty").hidden = this.#room.members.size > 0;
  }

  /** @param {boolean} isGone */
  #gone(isGone) {
    clearTimeout(this.#goneTimer);
    const banner = html("banner");
    if (!isGone) {
      if (this.#isIn && banner.textContent) toast("toast.back");
      silence(banner);
      return;
    }
    if (this.#isIn) say(banner, "banner.down");
    this.#goneTimer = window.setTimeout(() => {
      if (!this.#isIn) return showNotice("connecting");
      say(banner, this.#room.members.size > 0 ? "banner.gone" : "banner.gone.alone");
    }, GONE_AFTER);
  }

  /** @param {Member} member */
  #offerRelay({ name }) {
    if (this.#room.policy === "relay") return;
    toast("connection.struggling", { name }, { key: "connection.struggling.act", act: () => this.#useRelay(true) });
  }

  /** @param {boolean} only */
  #useRelay(only) {
    input("relay-only").checked = only;
    this.#room.setPolicy(only ? "relay" : "all");
  }

  /** @param {import("./panel.js").Sheet | null} sheet */
  #panelChanged(sheet) {
    if (sheet) dismiss(`panel.${sheet}`);
    if (sheet === "people") dismiss("people.admit");
    // Called once while the parts are still being built.
    if (sheet === "chat") this.#chat?.read();
    if (sheet === "connection") this.#room.members.forEach((member) => this.#showMember(member));
  }

  #copyReport() {
    const peers = [...this.#room.members.values()].map((member) => ({
      name: member.name,
      state: member.peer.state,
      quality: this.#meter.quality(member),
      readings: this.#meter.history(member.id).readings,
    }));
    const { policy } = this.#room;
    const report = { at: new Date().toISOString(), browser: navigator.userAgent, language: currentLanguage(), policy, serverRtt: this.#signaling.rtt, peers };
    copy(JSON.stringify(report, null, 2), "connection.copied");
  }

  /** @param {string} reason */
  #over(reason) {
    clearTimeout(this.#goneTimer);
    clearInterval(this.#speaking);
    this.#isIn = false;
    this.#sleep();
    this.#meter.close();
    this.#chat.close();
    this.#level.close();
    this.#stage.clear();
    this.#media.close();
    html("panel").hidden = true;
    showNotice(reason);
  }
}

/** From Wi-Fi to mobile, say. Browsers report changes of speed by the same event. @param {() => void} then */
function onOtherNetwork(then) {
  const { connection } = /** @type {any} */ (navigator);
  let type = connection?.type;
  connection?.addEventListener?.("change", () => {
    if (connection.type === type) return;
    type = connection.type;
    then();
  });
}

/** What is in front of the phone is not a mirror. @param {MediaStreamTrack | null} camera */
function isRearCamera(camera) {
  return camera?.getSettings().facingMode === "environment";
}
