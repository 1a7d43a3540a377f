// @ts-check
/** Whether the browser lets the page use camera and microphone, as far as it tells. */

/** @typedef {import("./media.js").Kind} Kind */

/** @type {Record<Kind, string>} */
const NAMES = { audio: "microphone", video: "camera" };

export class Consent {
  #permissions;
  /** Browsers forget one that nobody keeps. @type {Partial<Record<Kind, PermissionStatus>>} */
  #kept = {};

  /** @param {Pick<Permissions, "query">} [permissions] */
  constructor(permissions) {
    this.#permissions = permissions;
  }

  /**
   * Whether a refusal of both devices applies to this one: not if it is allowed, or if the browser did not ask because the other is forbidden.
   *
   * @param {Kind} kind
   */
  async isRefused(kind) {
    const state = (await this.#query(kind))?.state;
    if (state !== "prompt") return state === "denied";
    return (await this.#query(kind === "audio" ? "video" : "audio"))?.state !== "denied";
  }

  /** Whoever allows it later, in the browser's own menu, wants it. @param {Kind} kind @param {() => void} then */
  async whenGiven(kind, then) {
    const status = await this.#query(kind);
    if (!status) return;
    this.#kept[kind] = status;
    status.onchange = () => status.state === "granted" && then();
  }

  /** Undefined where the browser does not tell. @param {Kind} kind */
  async #query(kind) {
    try {
      return await this.#permissions?.query({ name: /** @type {PermissionName} */ (NAMES[kind]) });
    } catch {
      return undefined;
    }
  }
}
