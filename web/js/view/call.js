// @ts-check
/** The call itself: binds the room to the parts of the page. */

import { systemClock } from "../wire/clock.js";
import { Conversation } from "../wire/conversation.js";
import { Door, askDoor, isLasting, rightPlace } from "../wire/door.js";
import { Hands } from "../wire/hands.js";
import { lookOf } from "../wire/look.js";
import { Recording } from "../wire/recording.js";
import { GONE_OURSELVES } from "../wire/room.js";
import { Safety } from "../wire/safety.js";
import { stayAwake } from "./awake.js";
import { Banner } from "./banner.js";
import { languageSelect, themeSelect } from "./bar.js";
import { Chat } from "./chat.js";
import { showDevices } from "./devices.js";
import { button, html, make, whenIdle } from "./dom.js";
import { canFillScreen, fillScreen } from "./full.js";
import { Heading } from "./heading.js";
import { showLink, startInvite } from "./invite.js";
import { keyButton, onKeys } from "./keys.js";
import { Knocks } from "./knocks.js";
import { say } from "./language.js";
import { rememberHost, rememberLastCall } from "./memory.js";
import { Meter } from "./meter.js";
import { offer, offerInstead, startMore } from "./more.js";
import { watchNetwork } from "./network.js";
import { hideNotice, showNotice } from "./notice.js";
import { Panel } from "./panel.js";
import { People } from "./people.js";
import { Self } from "./self.js";
import { Sending } from "./sending.js";
import { canShrink, shrink, shrinkWhenHidden } from "./shrink.js";
import { screenOf, Stage } from "./stage.js";
import { ring } from "./title.js";
import { clearToasts, dismiss, toast } from "./toasts.js";

/** @typedef {import("../wire/room.js").Member} Member */

/** After waiting this long to join, the user sees why. */
const PATIENCE = 10_000;
/** A member named this soon after the start was here before us. */
const ARRIVING = 500;
/** After a restart of the server, all members return within this time. */
const RETURNING = 8_000;

export class Call {
  #room;
  #link;
  #signaling;
  #media;
  #sound;
  #lobby;
  #seat;
  /** @type {Knocks | undefined} */
  #knocks;
  #panel = new Panel((sheet) => this.#opened(sheet));
  #stage = new Stage({
    dot: () => this.#panel.show("connection"),
    people: () => this.#panel.show("people"),
    stop: () => this.#self.switchScreen(),
    full: fillScreen,
  });
  #self;
  #chat;
  #sending;
  #people;
  #meter;
  #safety;
  /** @type {(() => Promise<import("./inside.js").Inside>)} */
  #bring;
  /** @type {import("./inside.js").Inside | null} */
  #inside = null;
  #banner;
  /** @type {Heading | undefined} */
  #heading;
  #isIn = false;
  /** Why the token of the link was not accepted. */
  #refused = "";
  #wasHost = false;
  /** Until then, arrivals are not announced. */
  #quietUntil = Infinity;
  /** Why this page is not in yet, and what of it is shown. */
  #reason = "connecting";
  #shown = "";
  #patience = window.setTimeout(() => this.#stillOut(this.#reason), PATIENCE);
  #sleep = () => {};
  /** What each member sends. @type {Map<string, Partial<Record<import("../wire/peer.js").Kind, MediaStreamTrack>>>} */
  #tracks = new Map();

  /**
   * @param {object} parts
   * @param {import("../wire/room.js").Room} parts.room
   * @param {import("../wire/link.js").RoomLink} parts.link
   * @param {import("../wire/signaling.js").Signaling} parts.signaling
   * @param {import("../wire/media.js").Media} parts.media
   * @param {import("./sound.js").Sound} parts.sound
   * @param {import("./level.js").Level} parts.level
   * @param {import("./lobby.js").Lobby} parts.lobby
   * @param {import("../wire/seat.js").Seat} parts.seat
   */
  constructor({ room, link, signaling, media, sound, level, lobby, seat }) {
    this.#room = room;
    this.#link = link;
    this.#signaling = signaling;
    this.#media = media;
    this.#sound = sound;
    this.#lobby = lobby;
    this.#seat = seat;
    seat.onlost = () => {
      room.leave();
      this.#over("replaced");
    };
    this.#self = new Self({ room, media, stage: this.#stage, sound, level });
    const conversation = new Conversation(room, systemClock);
    this.#sending = new Sending({
      room,
      media,
      conversation,
      received: (id) => this.#tracks.get(id) ?? {},
      paused: (isPaused) => this.#self.pause(isPaused),
      changed: (member) => this.#show(member),
    });
    this.#chat = new Chat({
      conversation,
      room,
      isOpen: () => this.#panel.open === "chat",
      show: () => this.#panel.show("chat"),
    });
    const hands = new Hands(room, conversation);
    this.#people = new People(room, hands, () => this.#panel.open === "people");
    this.#meter = new Meter({
      members: () => room.members.values(),
      measured: (member) => {
        this.#sending.saw(member, this.#meter.history(member.id).last);
        this.#safety.check(member);
        this.#show(member);
      },
      done: () => this.#sending.tick(),
      heard: (id, isSpeaking) => {
        this.#stage.speak(id, isSpeaking);
        this.#people.speak(id, isSpeaking);
      },
    });
    const random = (/** @type {Uint8Array<ArrayBuffer>} */ bytes) => crypto.getRandomValues(bytes);
    this.#safety = new Safety({ room, conversation, subtle: crypto.subtle, random, clock: systemClock });
    const recording = new Recording(room, conversation);
    const [clock, safety, meter, stage] = [systemClock, this.#safety, this.#meter, this.#stage];
    this.#bring = async () => {
      const { Inside } = await import("./inside.js");
      const isShown = () => this.#panel.open === "connection";
      return new Inside({ room, link, signaling, media, conversation, hands, recording, safety, clock, meter, stage, isShown });
    };
    this.#banner = new Banner(() => room.members.size > 0);
    this.#watch();
    this.#bind();
  }

  #watch() {
    const room = this.#room;
    room.on("waiting", () => this.#waiting());
    room.on("asking", () => clearTimeout(this.#patience));
    room.on("joined", () => this.#joined());
    room.on("out", (reason) => this.#over(reason));
    room.on("came", (member) => this.#came(member));
    room.on("left", (member, reason) => this.#left(member, reason));
    room.on("changed", (member) => {
      this.#show(member);
      this.#perform(member);
    });
    room.on("renamed", ({ name }, before) => toast("toast.renamed", { before, name }));
    room.on("room", () => this.#roomChanged());
    this.#knocks = new Knocks({ room, isShown: () => this.#panel.open === "people", show: () => this.#panel.show("people") });
    this.#signaling.on("tokenRefused", (code) => (this.#refused = code === "token_expired" && this.#link.token ? code : ""));
    this.#signaling.on("state", (state) => {
      if (this.#isIn) this.#banner.show(state === "up");
    });
    const ask = () => askDoor(fetch, systemClock);
    const door = new Door({ signaling: this.#signaling, ask, origin: location.origin });
    door.on("why", (why) => this.#keptOut(why));
    watchNetwork({
      changed: () => room.networkChanged(),
      seen: () => this.#seen(),
      leaving: () => this.#leaving(),
    });
  }

  #bind() {
    const inCall = (/** @type {() => void} */ act) => () => (this.#isIn ? act() : undefined);
    onKeys({
      M: inCall(() => this.#self.switchMicrophone()),
      V: inCall(() => this.#self.switchCamera()),
      S: inCall(() => this.#self.switchScreen()),
      C: inCall(() => this.#panel.toggle("chat")),
      H: inCall(() => this.#inside?.gestures.switchHand()),
      F: inCall(fillScreen),
    }, this.#self.talk);
    this.#offer();
    button("leave").addEventListener("click", () => {
      this.#room.leave();
      this.#over("left");
    });
    showDevices(html("call-devices"), this.#media, this.#sound);
    html("call-preferences").append(
      this.#sending.saver(),
      make("div", "", say(make("p", "label"), "bar.language"), languageSelect()),
      make("div", "", say(make("p", "label"), "bar.theme"), themeSelect()),
      keyButton(),
    );
  }

  /** What stands in the menu "more". */
  #offer() {
    const stage = this.#stage;
    const other = () => (stage.layout === "grid" ? "speaker" : "grid");
    button("layout").addEventListener("click", () => stage.choose(other()));
    offerInstead("layout", () => `controls.${other()}`, () => `${other()}-view`);
    if (canShrink) offer(() => (stage.foremost ? { key: "controls.pip", icon: "pip", act: () => shrink(stage) } : null));
    shrinkWhenHidden(stage);
    if (canFillScreen) offer(() => ({ key: document.fullscreenElement ? "controls.full.off" : "controls.full", icon: "full", act: fillScreen }));
    offerInstead("flip", () => "controls.flip", () => "flip");
    offerInstead("open-connection", () => "controls.connection", () => "signal");
    offerInstead("open-settings", () => "controls.settings", () => "settings");
    startMore();
  }

  /** @param {import("../wire/door.js").Why} why */
  #keptOut(why) {
    const { reason, origin, expected } = why;
    if (this.#isIn) return this.#banner.explain(reason);
    // A user who waits for the host need not read about sockets.
    if (this.#shown === "waiting") return;
    this.#reason = reason === "silent" ? "connecting" : reason;
    // One failed socket proves nothing about the path, and a silent server may be back in a moment.
    const mayPass = reason === "blocked" || reason === "silent";
    if (mayPass && !this.#shown) return;
    if (!isLasting(why)) return this.#stillOut(this.#reason);
    this.#room.leave();
    this.#close();
    showNotice(reason, { origin, expected }, reason === "elsewhere" ? rightPlace(why, location) : "");
  }

  /** Keeps trying, and shows each reason once. @param {string} reason */
  #stillOut(reason) {
    clearTimeout(this.#patience);
    if (this.#shown === reason) return;
    this.#shown = reason;
    showNotice(reason);
    this.#lobby.accompany();
  }

  #waiting() {
    clearTimeout(this.#patience);
    this.#shown = "waiting";
    showNotice("waiting");
    this.#lobby.accompany();
  }

  #joined() {
    if (this.#room.hostToken) rememberHost(this.#link.name, this.#room.hostToken);
    this.#quietUntil = performance.now() + (this.#isIn ? RETURNING : ARRIVING);
    // A returning member may have been waiting for the host.
    hideNotice();
    html("bar").hidden = true;
    html("call").hidden = false;
    if (this.#isIn) return;
    this.#isIn = true;
    clearTimeout(this.#patience);
    this.#lobby.close();
    this.#heading = new Heading(this.#link.name, () => this.#room.members.size + 1);
    startInvite(this.#invitation);
    // Now, while the server can be reached, and not in the lobby, whose first visit is bounded. The others' pictures come first.
    whenIdle(() => this.#bring().then((inside) => (this.#isIn ? (this.#inside = inside) : inside.close()), () => {}));
    this.#self.enter();
    this.#count();
    this.#sleep = stayAwake();
    html("room-name").focus({ preventScroll: true });
  }

  /** @param {Member} member */
  #came(member) {
    const { id, name, peer } = member;
    this.#stage.add(id, { isSelf: false });
    peer.on("track", (kind, track) => this.#play(member, kind, track));
    peer.on("state", () => this.#show(member));
    this.#show(member);
    this.#count();
    if (performance.now() < this.#quietUntil) return;
    toast("toast.came", { name });
    if (document.hidden) ring("join");
  }

  /** @param {Member} member @param {string} reason */
  #left({ id, name }, reason) {
    const tile = this.#stage.tile(id);
    if (tile) this.#sound.forget(tile.video);
    this.#stage.remove(id);
    this.#meter.histories.delete(id);
    this.#tracks.delete(id);
    this.#count();
    if (reason === GONE_OURSELVES) return;
    toast(reason === "kicked" ? "toast.kicked" : reason === "left" ? "toast.left" : "toast.lost", { name });
  }

  /**
   * A connection that is built anew brings new tracks, which take the place of the old.
   * @param {Member} member @param {import("../wire/peer.js").Kind} kind @param {MediaStreamTrack} track
   */
  #play(member, kind, track) {
    this.#tracks.set(member.id, { ...this.#tracks.get(member.id), [kind]: track });
    this.#perform(member);
  }

  /** @param {Member} member */
  #perform(member) {
    const { id } = member;
    const { audio, video, screen } = this.#tracks.get(id) ?? {};
    const tile = this.#stage.tile(id);
    if (tile?.play(audio, this.#sendsInstead(member) ? null : video)) this.#sound.play(tile.video);
    this.#stage.tile(screenOf(id))?.play(screen ?? video);
  }

  /** Whether this is a client that has one video only, and sends the screen in the camera's place. @param {Member} member */
  #sendsInstead({ id, state }) {
    const { video, screen } = this.#tracks.get(id) ?? {};
    return state.screen && !screen && video !== undefined;
  }

  /** @param {Member} member */
  #show(member) {
    const { id, name, state, away } = member;
    if (!this.#room.members.has(id)) return;
    const look = lookOf(state, this.#meter.history(id).readings);
    const isPaused = this.#sending.isPausedBy(id);
    this.#stage.show(id, { ...look, cam: look.cam && !isPaused && !this.#sendsInstead(member), name, away, isPaused, quality: this.#meter.quality(member) });
    this.#people.tell(id, this.#meter.quality(member));
    if (this.#panel.open === "connection") this.#inside?.ties.draw(member);
  }

  #roomChanged() {
    const { isHost } = this.#room;
    if (isHost && !this.#wasHost && this.#isIn) toast("toast.host");
    this.#wasHost = isHost;
  }

  #count() {
    this.#heading?.draw();
    const isAlone = this.#isIn && this.#room.members.size === 0;
    if (isAlone) showLink("alone-link", this.#invitation);
    html("alone").hidden = !isAlone;
  }

  /** Those who come now need no token. */
  get #invitation() {
    const { name, key } = this.#link;
    return { name, key };
  }

  /** A sheet was opened, or the panel was closed; once, before the other parts are there. @param {import("./panel.js").Sheet | null} sheet */
  #opened(sheet) {
    if (sheet) dismiss(`panel.${sheet}`);
    this.#knocks?.draw();
    if (sheet === "chat") this.#chat.read();
    if (sheet === "people") this.#people.draw();
    if (sheet === "connection") this.#room.members.forEach((member) => this.#show(member));
  }

  #seen() {
    if (!this.#isIn) return;
    this.#signaling.probe();
    this.#self.wake();
  }

  /** The page goes away. The others should not wait for a member who is gone. */
  #leaving() {
    const { policy, me } = this.#room;
    if (this.#isIn) rememberLastCall({ room: this.#link.name, name: me.name, policy, at: Date.now() });
    this.#room.leave();
    this.#seat.release();
  }

  /** @param {string} reason */
  async #over(reason) {
    this.#close();
    // Where not everybody may start a call, a missing call is not the visitor's mistake.
    const isNotBegun = reason === "room_not_found" && ((await askDoor(fetch, systemClock))?.create ?? "anyone") !== "anyone";
    showNotice(isNotBegun ? (this.#refused || "not_begun") : reason);
  }

  #close() {
    clearTimeout(this.#patience);
    this.#isIn = false;
    this.#sleep();
    this.#seat.release();
    this.#inside?.close();
    this.#banner.close();
    this.#heading?.close();
    this.#meter.close();
    this.#chat.close();
    this.#self.close();
    this.#lobby.close();
    this.#stage.clear();
    html("panel").hidden = true;
    this.#knocks?.close();
    clearToasts();
  }
}
