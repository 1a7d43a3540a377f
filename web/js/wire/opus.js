// @ts-check
/** What a description asks the other side to do with its sound, and in which order codecs are offered. */

/** Nothing is sent while nobody speaks (RFC 7587 §7.1), and a lost packet can be made up from the next one. */
const WISHES = { usedtx: "1", useinbandfec: "1" };

/**
 * The description as the other side gets it. Its format parameters say what this side wants to receive, and there is no other
 * way to ask for DTX.
 * @param {string} sdp
 */
export function askForQuiet(sdp) {
  const types = [...sdp.matchAll(/^a=rtpmap:(\d+) opus\/48000/gim)].map(([, type]) => type);
  return types.reduce((text, type) => text.replace(new RegExp(`^(a=fmtp:${type} )(.*?)(\\r?)$`, "m"), (_, name, list, end) => name + wish(list) + end), sdp);
}

/** @param {string} list  of parameters, as "name=value;…" */
function wish(list) {
  const parameters = new Map(list.split(";").map((one) => /** @type {[string, string]} */ (one.trim().split("="))));
  for (const [name, value] of Object.entries(WISHES)) parameters.set(name, value);
  return [...parameters].map(([name, value]) => (value === undefined ? name : `${name}=${value}`)).join(";");
}
