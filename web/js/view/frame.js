// @ts-check
/** The call in a frame of another page: that page is told what happens, and may mute and leave. */

import { Embedded } from "../wire/embedded.js";
import { button } from "./dom.js";

/** @typedef {import("../wire/media.js").Media} Media */
/** @typedef {import("../wire/room.js").Room} Room */
/** @typedef {import("../wire/signaling.js").Signaling} Signaling */

/** @param {Media} media @returns {{ follow: (room: Room, signaling: Signaling) => void }} */
export function showInFrame(media) {
  const named = document.querySelector("meta[name=embedders]")?.getAttribute("content") ?? "";
  const sites = named.split(" ").filter(Boolean);
  const embedded = new Embedded({ sites, post: (message, origin) => parent.postMessage(message, origin) });
  addEventListener("message", ({ source, origin, data }) => source === parent && embedded.hear(origin, data));
  const devices = () => embedded.show({ mic: media.microphoneIsOn, cam: media.cameraIsOn });
  media.on("changed", devices);
  devices();
  let isIn = false;
  embedded.on("command", (command) => {
    if (command === "leave") return isIn ? button("leave").click() : undefined;
    if (command === "mute" || command === "unmute") void media.setMicrophone(command === "unmute");
    else void media.setCamera(command === "camera-on");
  });
  return { follow };

  /** @param {Room} room @param {Signaling} signaling */
  function follow(room, signaling) {
    const count = () => isIn && embedded.show({ count: room.members.size + 1 });
    let reason = "left";
    room.on("out", (why) => (reason = why));
    room.on("joined", () => {
      isIn = true;
      embedded.show({ joined: true, count: room.members.size + 1 });
    });
    room.on("came", count);
    room.on("left", count);
    // The reason follows at once.
    signaling.on("closed", () => queueMicrotask(() => {
      isIn = false;
      embedded.left(reason);
    }));
  }
}
