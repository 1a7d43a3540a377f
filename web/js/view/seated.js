// @ts-check
/** Takes the place in the call for this tab; if another tab of this browser has it, the user says what to do. */

import { systemClock } from "../wire/clock.js";
import { Seat } from "../wire/seat.js";

/** @param {string} room @returns {Promise<{ seat: Seat, isSecond: boolean } | null>}  nothing if the user would rather not come in here */
export async function sit(room) {
  const seat = new Seat(navigator.locks, room);
  if (await seat.take(systemClock)) return { seat, isSecond: false };
  const { ask } = await import("./ask.js");
  const answer = await ask({
    title: "seat.title",
    text: "seat.text",
    choices: [{ answer: "here", key: "seat.here", className: "primary" }, { answer: "both", key: "seat.both" }],
  });
  if (answer === "here") await seat.seize();
  return answer ? { seat, isSecond: answer === "both" } : null;
}
