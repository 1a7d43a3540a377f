// @ts-check
/** Tells the uplink how large each picture is shown on this page, and the user what is done to keep the sound. */

import { systemClock } from "../wire/clock.js";
import { Upgrade } from "../wire/upgrade.js";
import { Uplink } from "../wire/uplink.js";
import { make } from "./dom.js";
import { say } from "./language.js";
import { recall, remember } from "./memory.js";
import { toast } from "./toasts.js";

/** @typedef {import("../wire/room.js").Member} Member */
/** @typedef {Partial<Record<import("../wire/peer.js").Kind, MediaStreamTrack>>} Received */

/** Nobody sees the difference on screens with more pixels to each of the page's. */
const DENSITY_MAX = 2;

export class Sending {
  #uplink;
  #upgrade;
  #members;
  #received;

  /**
   * @param {object} parts
   * @param {import("../wire/room.js").Room} parts.room
   * @param {import("../wire/media.js").Media} parts.media
   * @param {import("../wire/conversation.js").Conversation} parts.conversation
   * @param {(id: string) => Received} parts.received  what a member sends
   * @param {(isPaused: boolean) => void} parts.paused  the own camera, for some member
   * @param {(member: Member) => void} parts.changed  whether a member's camera is paused
   */
  constructor({ room, media, conversation, received, paused, changed }) {
    this.#members = room.members;
    this.#received = received;
    this.#uplink = new Uplink({ room, media, conversation, clock: systemClock });
    this.#upgrade = new Upgrade(room, systemClock);
    this.#uplink.isSaving = recall("save-data") !== "";
    this.#uplink.on("changed", changed);
    this.#uplink.on("paused", (isPaused) => {
      paused(isPaused);
      toast(isPaused ? "sending.paused" : "sending.resumed");
    });
    document.addEventListener("visibilitychange", () => this.look());
  }

  /** Whether a member sends no picture at the moment, to keep the sound. @param {string} id */
  isPausedBy(id) {
    return this.#uplink.isPausedBy(id);
  }

  /** @param {Member} member @param {import("../wire/stats.js").Reading | null} reading  of the last second */
  saw(member, reading) {
    if (!reading) return;
    this.#uplink.saw(member.id, reading);
    this.#upgrade.saw(member, reading.path);
  }

  /** Once a second, after all connections were seen. */
  tick() {
    this.look();
    this.#uplink.tick();
  }

  /** How large everybody is shown. */
  look() {
    const players = [document, pictureInPicture()].flatMap((it) => [...(it?.querySelectorAll("video") ?? [])]);
    for (const id of this.#members.keys()) {
      const { video, screen } = this.#received(id);
      this.#uplink.show(id, { camera: size(players, video), screen: size(players, screen) });
    }
  }

  /** The switch in the settings. */
  saver() {
    const box = make("input");
    box.type = "checkbox";
    box.role = "switch";
    box.checked = this.#uplink.isSaving;
    box.addEventListener("change", () => {
      remember("save-data", box.checked ? "yes" : "");
      this.#uplink.save(box.checked);
      this.look();
    });
    const why = say(make("p", "small soft"), "sending.save.why");
    return make("div", "", make("label", "switch", say(make("span"), "sending.save"), box), why);
  }
}

/** The document of a floating window, where the browser has one. @returns {Document | undefined} */
function pictureInPicture() {
  return /** @type {any} */ (window).documentPictureInPicture?.window?.document;
}

/** Pixels on the shorter side of the largest player that shows this track, and 0 if none can be seen. @param {HTMLVideoElement[]} players @param {MediaStreamTrack} [track] */
function size(players, track) {
  if (!track) return 0;
  const showing = players.filter(({ srcObject }) => srcObject instanceof MediaStream && srcObject.getTracks().includes(track));
  return Math.max(0, ...showing.map(pixels));
}

/** @param {HTMLVideoElement} player */
function pixels(player) {
  if (player === document.pictureInPictureElement) return player.clientHeight;
  const view = player.ownerDocument.defaultView;
  const { width, height, top, bottom, left, right } = player.getBoundingClientRect();
  const isSeen = view && player.ownerDocument.visibilityState === "visible" && bottom > 0 && right > 0 && top < view.innerHeight && left < view.innerWidth;
  if (!isSeen || getComputedStyle(player).visibility === "hidden") return 0;
  return Math.min(width, height) * Math.min(view.devicePixelRatio, DENSITY_MAX);
}
