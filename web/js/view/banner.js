// @ts-check
/** Says that the server cannot be reached, and that it can again. */

import { html } from "./dom.js";
import { say, silence } from "./language.js";
import { toast } from "./toasts.js";

/** After so long it is said in other words. */
const GONE_AFTER = 10_000;

export class Banner {
  #hasCompany;
  #timer = 0;

  /** @param {() => boolean} hasCompany  whether there is a call that can go on without the server */
  constructor(hasCompany) {
    this.#hasCompany = hasCompany;
  }

  /** @param {boolean} isUp */
  show(isUp) {
    this.close();
    const banner = html("banner");
    if (isUp) {
      if (banner.textContent) toast("toast.back");
      silence(banner);
      return;
    }
    say(banner, "banner.down");
    this.#timer = window.setTimeout(() => say(banner, this.#hasCompany() ? "banner.gone" : "banner.gone.alone"), GONE_AFTER);
  }

  close() {
    clearTimeout(this.#timer);
  }
}
