// @ts-check
/** Oneself in the call: one's own tile, and the buttons for microphone, camera and screen. */

import { Unheard } from "../wire/unheard.js";
import { button, html } from "./dom.js";
import { say } from "./language.js";
import { recall, remember } from "./memory.js";
import { showSwitch } from "./switches.js";
import { dismiss, toast } from "./toasts.js";

/** @typedef {import("../wire/media.js").Media} Media */
/** @typedef {import("../wire/room.js").Room} Room */
/** @typedef {import("./stage.js").Stage} Stage */

const ID = "self";
/** Louder than that is speech. */
const SPEAKING_FROM = 0.35;
const LISTEN_EVERY = 150;

export class Self {
  #room;
  #media;
  #stage;
  #level;
  #unheard = new Unheard();
  /** Hears a user who is muted. @type {{ of: MediaStreamTrack, track: MediaStreamTrack } | null} */
  #ear = null;
  #listening = 0;
  #isIn = false;
  #sound;
  /** @type {import("./taken.js").Taken | null} */
  #taken = null;
  /** Whether somebody gets no picture, to keep the sound. */
  #isPaused = false;

  /** @param {{ room: Room, media: Media, stage: Stage, sound: import("./sound.js").Sound, level: import("./level.js").Level }} parts */
  constructor({ room, media, stage, sound, level }) {
    this.#room = room;
    this.#level = level;
    this.#sound = sound;
    this.#media = media;
    this.#stage = stage;
    media.on("track", (kind, track) => room.replaceTrack(kind, track));
    media.on("changed", () => this.#draw());
    room.on("me", () => this.#draw());
    media.on("devices", () => this.#draw());
    button("mic").addEventListener("click", () => this.switchMicrophone());
    button("cam").addEventListener("click", () => this.switchCamera());
    button("share").addEventListener("click", () => this.switchScreen());
    button("flip").addEventListener("click", () => media.switchCamera());
    button("share").hidden = !media.canShareScreen;
    // Whoever came by a reload has not touched the page yet.
    for (const touch of ["pointerdown", "keydown"]) document.addEventListener(touch, () => this.#level.wake());
  }

  enter() {
    this.#isIn = true;
    this.#stage.add(ID, { isSelf: true });
    this.#listening = window.setInterval(() => this.#listen(), LISTEN_EVERY);
    this.#watchDevices();
    this.#draw();
  }

  /** Loaded now, and not with the lobby: the server can be reached, which it may not be when something is taken. */
  async #watchDevices() {
    const { Taken } = await import("./taken.js");
    if (!this.#isIn) return;
    this.#taken = new Taken(this.#media, {
      again: (kind) => (kind === "audio" ? this.switchMicrophone() : this.switchCamera()),
      back: () => this.#unpause(),
    });
  }

  /** The page is seen again. */
  wake() {
    this.#unpause();
    this.#media.revive();
  }

  /** What takes a device away stops all other sound, too. */
  #unpause() {
    this.#level.wake();
    this.#sound.wake();
  }

  close() {
    this.#isIn = false;
    clearInterval(this.#listening);
    this.#stopEar();
    this.#level.close();
    this.#taken?.close();
    this.#media.close();
  }

  /** @param {boolean} isPaused  the camera, for some member */
  pause(isPaused) {
    this.#isPaused = isPaused;
    this.#draw();
  }

  /** Push-to-talk. @type {import("./keys.js").Talk} */
  talk = {
    begin: () => {
      const isMuted = this.#isIn && this.#media.off.audio;
      if (isMuted) this.#media.setMicrophone(true);
      return isMuted;
    },
    end: () => void this.#media.setMicrophone(false),
  };

  async switchMicrophone() {
    const { failures, microphoneIsWanted } = this.#media;
    await this.#media.setMicrophone(!microphoneIsWanted);
    if (!microphoneIsWanted && failures.audio) toast(`failure.microphone.${failures.audio}`);
  }

  async switchCamera() {
    const { failures, cameraIsWanted } = this.#media;
    await this.#media.setCamera(!cameraIsWanted);
    if (!cameraIsWanted && failures.video) toast(`failure.${failures.video}.title`);
  }

  async switchScreen() {
    if (this.#media.screenIsOn) return this.#media.stopScreen();
    try {
      await this.#media.shareScreen();
    } catch (error) {
      if (!isSecondThought(/** @type {Error} */ (error))) toast("failure.screen");
    }
    if (this.#media.screenIsSilent) this.#sayThatItIsSilent();
  }

  /** Once: most people share what makes no sound. */
  #sayThatItIsSilent() {
    if (recall("silent-screen")) return;
    remember("silent-screen", "said");
    toast("controls.share.silent");
  }

  #draw() {
    if (!this.#isIn) return;
    const { microphoneIsOn: mic, cameraIsOn: cam, screenIsOn: screen, devices } = this.#media;
    showSwitch(button("mic"), "mic", this.#media.microphoneIsWanted);
    showSwitch(button("cam"), "camera", this.#media.cameraIsWanted);
    showSwitch(button("share"), "screen", screen);
    const cameras = devices.filter(({ kind }) => kind === "videoinput");
    button("flip").hidden = !cam || cameras.length < 2 || !matchMedia("(pointer: coarse)").matches;
    const { state, name } = this.#room.me;
    const isNews = state.mic !== mic || state.cam !== cam || state.screen !== screen;
    if (state.mic !== mic) say(html("spoken"), mic ? "controls.said.mic.on" : "controls.said.mic.off");
    if (state.cam !== cam) say(html("spoken"), cam ? "controls.said.cam.on" : "controls.said.cam.off");
    if (isNews) this.#room.show({ mic, cam, screen });
    this.#play();
    this.#stage.show(ID, { name, mic, cam, screen, hand: state.hand, mirrored: !isRearCamera(this.#media.camera), isPaused: cam && this.#isPaused });
  }

  #listen() {
    const { microphoneIsOn, off } = this.#media;
    const { value } = this.#level;
    const isLoud = value > SPEAKING_FROM;
    this.#stage.speak(ID, microphoneIsOn && isLoud);
    button("mic").style.setProperty("--level", microphoneIsOn ? value.toFixed(1) : "0");
    // Without a filter, a muted microphone hears the others, too.
    if (off.audio && !this.#media.isMusic && this.#unheard.hear(isLoud, performance.now())) {
      toast("controls.unheard", {}, { key: "controls.unmute", act: () => this.#media.setMicrophone(true) });
    }
  }

  /** A track that is muted is silent, and a copy of it is not. @param {MediaStreamTrack | null} track */
  #heard(track) {
    const isMuted = track !== null && !track.enabled && track.readyState === "live";
    if (this.#ear && (!isMuted || this.#ear.of !== track)) this.#stopEar();
    if (!isMuted) return track;
    this.#ear ??= { of: track, track: Object.assign(track.clone(), { enabled: true }) };
    return this.#ear.track;
  }

  #stopEar() {
    this.#ear?.track.stop();
    this.#ear = null;
    dismiss("controls.unmute");
  }

  #play() {
    const { microphone: audio, camera: video } = this.#media;
    this.#level.listen(this.#heard(audio));
    this.#stage.tile(ID)?.play(video);
  }
}

/** The camera on the back of a phone is not mirrored. @param {MediaStreamTrack | null} camera */
function isRearCamera(camera) {
  return camera?.getSettings().facingMode === "environment";
}

/** The person has closed the browser's choice of screens; the system's refusal has the same name. @param {Error} error */
function isSecondThought({ name, message }) {
  return name === "NotAllowedError" && !/system/i.test(message);
}
