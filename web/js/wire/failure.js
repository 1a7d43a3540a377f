// @ts-check
/** Names the reason why there is no camera or microphone. */

/**
 * - `insecure`  the page came over http from another machine, where browsers offer neither
 * - `denied`    the person, the browser or the system does not allow it
 * - `missing`   there is none
 * - `busy`      another program has it
 * - `broken`    anything else
 * @typedef {"insecure" | "denied" | "missing" | "busy" | "broken"} Failure
 */

/** @type {Record<string, Failure>} */
const BY_NAME = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "missing",
  OverconstrainedError: "missing",
  NotReadableError: "busy",
  AbortError: "busy",
  InsecureContext: "insecure",
};

/** @param {unknown} error @returns {Failure} */
export function failure(error) {
  return BY_NAME[/** @type {Error} */ (error)?.name] ?? "broken";
}
