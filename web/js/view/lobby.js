// @ts-check
/** Before the call: how one looks and sounds, which devices, what name. */

import { isInApp } from "../wire/inapp.js";
import { initials } from "../wire/initials.js";
import { isRandom } from "../wire/link.js";
import { visibleName } from "../wire/name.js";
import { showDevices } from "./devices.js";
import { button, find, html, input, make, setIcon } from "./dom.js";
import { say, silence, text } from "./language.js";
import { recall, remember } from "./memory.js";
import { showSwitch } from "./switches.js";

/** @typedef {import("../wire/media.js").Media} Media */

export class Lobby {
  #media;
  #level;
  #video = find("preview-video", HTMLVideoElement);
  #isAsking = false;
  /** @type {import("./rehearsal.js").Rehearsal | null} */
  #rehearsal = null;
  /** What stops listening to the devices. @type {(() => void)[]} */
  #listeners;

  /**
   * @param {object} parts
   * @param {Media} parts.media
   * @param {import("./sound.js").Sound} parts.sound
   * @param {import("./level.js").Level} parts.level  of the microphone, which the call goes on listening to
   * @param {string} parts.room
   * @param {string} parts.name  of the user, as far as it is known
   * @param {(name: string, policy: RTCIceTransportPolicy) => void} parts.enter
   */
  constructor({ media, sound, level, room, name, enter }) {
    this.#media = media;
    this.#level = level;
    if (isRandom(room)) say(html("lobby-room"), "lobby.room.private");
    else say(html("lobby-room"), "lobby.room", { room });
    showDevices(html("lobby-devices"), media, sound);
    this.#offerRehearsal(sound);
    input("name").value = name;
    input("name").addEventListener("input", () => this.#draw());
    // On a phone the keyboard would cover the picture.
    if (!input("name").value && matchMedia("(hover: hover)").matches) input("name").focus();
    find("door", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      const name = visibleName(input("name").value);
      remember("name", name);
      enter(name || text("guest"), input("lobby-relay").checked ? "relay" : "all");
    });
    input("lobby-relay").checked = recall("relay-only") !== "";
    input("lobby-relay").addEventListener("change", () => {
      remember("relay-only", input("lobby-relay").checked ? "yes" : "");
    });
    html("lobby").addEventListener("pointerdown", () => this.#level.wake());
    button("preview-mic").addEventListener("click", () => media.setMicrophone(!media.microphoneIsWanted));
    button("preview-cam").addEventListener("click", () => media.setCamera(!media.cameraIsWanted));
    button("trouble-again").addEventListener("click", () => this.ask());
    this.#listeners = [
      media.on("track", (kind, track) => {
        if (kind === "audio") this.#level.listen(track);
      }),
      media.on("changed", () => this.#draw()),
    ];
    this.setJoining(false);
    this.#listen();
  }

  /** Asks for camera and microphone, and explains while the browser asks. */
  async ask() {
    // The browser does not ask a user who has answered before, so no explanation is needed.
    const patience = setTimeout(() => {
      this.#isAsking = true;
      this.#draw();
    }, 600);
    await this.#media.open();
    clearTimeout(patience);
    this.#isAsking = false;
    this.#draw();
  }

  /** While the user waits to get in: whose camera is on sees it, and can switch it off. */
  accompany() {
    html("notice-actions").before(html("preview"));
  }

  /** @param {import("./sound.js").Sound} sound */
  #offerRehearsal(sound) {
    const open = say(make("button"), "rehearsal.open");
    open.type = "button";
    open.addEventListener("click", async () => {
      const { Rehearsal } = await import("./rehearsal.js");
      this.#rehearsal = new Rehearsal(this.#media, sound);
      open.replaceWith(this.#rehearsal.element);
      this.#rehearsal.element.querySelector("button")?.focus();
    });
    html("lobby-devices").append(open);
  }

  close() {
    this.#rehearsal?.close();
    html("preview").hidden = true;
    // The user may have been asked until now.
    this.#draw = () => {};
    this.#listeners.forEach((stop) => stop());
    this.#video.srcObject = null;
    html("lobby").hidden = true;
  }

  /** @param {boolean} isJoining */
  setJoining(isJoining) {
    button("enter").disabled = isJoining;
    if (isJoining) say(button("enter"), "lobby.joining");
    else this.#draw();
  }

  #draw = () => {
    const { tracks, cameraIsOn, microphoneIsOn, failures } = this.#media;
    if (this.#video.srcObject === null || streamTrack(this.#video) !== tracks.video) {
      this.#video.srcObject = tracks.video && new MediaStream([tracks.video]);
    }
    html("preview-picture").classList.toggle("without-picture", !cameraIsOn);
    html("preview-picture").classList.add("mirrored");
    html("preview-avatar").dataset.initials = initials(input("name").value);
    showSwitch(button("preview-mic"), "mic", this.#media.microphoneIsWanted);
    showSwitch(button("preview-cam"), "camera", this.#media.cameraIsWanted);
    this.#explain();
    html("level").hidden = !microphoneIsOn || !this.#level.isListening;
    const isSilent = !tracks.audio && !tracks.video;
    if (!button("enter").disabled) say(button("enter"), isSilent && !this.#isAsking ? "lobby.join.silent" : "lobby.join");
    const hint = html("lobby-hint");
    if (failures.audio && failures.audio !== failures.video) say(hint, `failure.microphone.${failures.audio}`);
    else if (isSilent && failures.video) say(hint, "lobby.hint.silent");
    else silence(hint);
  };

  #explain() {
    const failure = this.#media.failures.video;
    html("trouble").hidden = !this.#isAsking && !failure;
    setIcon(html("trouble"), this.#isAsking ? "camera" : "warn");
    button("trouble-again").hidden = this.#isAsking || failure === "insecure";
    // Without either there is nothing to switch.
    html("preview-controls").hidden = this.#isAsking || (failure !== null && this.#media.failures.audio !== null);
    if (this.#isAsking) {
      say(html("trouble-title"), "asking.title");
      say(html("trouble-text"), "asking.text");
    } else if (failure) {
      // Over http no browser would do.
      const isElsewhere = isSecureContext && failure !== "busy" && isInApp(navigator.userAgent);
      say(html("trouble-title"), isElsewhere ? "notice.inapp.title" : `failure.${failure}.title`);
      say(html("trouble-text"), isElsewhere ? "notice.inapp.text" : `failure.${failure}.text`);
      if (isElsewhere) this.#offerElsewhere();
    }
    html("elsewhere").hidden = this.#isAsking;
  }

  async #offerElsewhere() {
    const { showElsewhere } = await import("./elsewhere.js");
    if (!html("elsewhere").firstChild) showElsewhere(html("elsewhere"));
  }

  #listen() {
    const meter = find("level", HTMLMeterElement);
    const step = () => {
      if (html("preview").hidden) return;
      meter.value = this.#level.value;
      requestAnimationFrame(step);
    };
    step();
  }
}

/** @param {HTMLVideoElement} video */
function streamTrack(video) {
  return video.srcObject instanceof MediaStream ? video.srcObject.getVideoTracks()[0] : null;
}
