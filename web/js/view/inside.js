// @ts-check
/** What is of use only inside a call, and is loaded when it begins: hands and reactions, the sign of a recording, the connections. */

import { Reactions } from "../wire/reactions.js";
import { Gestures } from "./gestures.js";
import { RecordingSign } from "./recording.js";
import { Ties } from "./ties.js";

export class Inside {
  ties;
  gestures;
  #recording;

  /**
   * @param {object} parts
   * @param {import("../wire/room.js").Room} parts.room
   * @param {import("../wire/link.js").RoomLink} parts.link
   * @param {import("../wire/signaling.js").Signaling} parts.signaling
   * @param {import("../wire/media.js").Media} parts.media
   * @param {import("../wire/conversation.js").Conversation} parts.conversation
   * @param {import("../wire/hands.js").Hands} parts.hands
   * @param {import("../wire/recording.js").Recording} parts.recording
   * @param {import("../wire/safety.js").Safety} parts.safety
   * @param {import("../wire/clock.js").Clock} parts.clock
   * @param {import("./meter.js").Meter} parts.meter
   * @param {import("./stage.js").Stage} parts.stage
   * @param {() => boolean} parts.isShown  whether the connections can be seen
   */
  constructor({ room, link, signaling, media, conversation, hands, recording, safety, clock, meter, stage, isShown }) {
    this.ties = new Ties({ room, signaling, meter, safety, isShown });
    this.gestures = new Gestures({ room, hands, reactions: new Reactions(room, conversation, clock), stage });
    this.#recording = new RecordingSign({ recording, media, name: link.name });
    // Whoever came in the meantime.
    for (const member of room.members.values()) this.ties.add(member);
    room.on("came", (member) => this.ties.add(member));
    room.on("left", ({ id }) => this.ties.remove(id));
  }

  close() {
    this.gestures.close();
    this.#recording.close();
  }
}
