// @ts-check
/** Says that the server cannot be reached, and that it can again. */

import { html } from "./dom.js";
import { say, silence } from "./language.js";
import { toast } from "./toasts.js";

/** After so long it is said in other words. */
const GONE_AFTER = 10_000;

/** What else there is to say of a server that takes nobody. @type {Record<string, import("../wire/i18n.js").Key>} */
const REASONS = { too_many: "banner.too_many", full: "banner.full", draining: "banner.draining" };

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

  /** Why the server is still away. @param {import("../wire/door.js").Reason} reason */
  explain(reason) {
    if (!(reason in REASONS)) return;
    clearTimeout(this.#timer);
    say(html("banner"), REASONS[reason]);
  }

  close() {
    clearTimeout(this.#timer);
  }
}
