// @ts-check
/** Shows that the server cannot be reached, until it can be reached again. */

import { html } from "./dom.js";
import { say, silence } from "./language.js";
import { toast } from "./toasts.js";

/** After this time the banner says more. */
const GONE_AFTER = 10_000;

/** The text for a server that accepts nobody at the moment. @type {Record<string, import("../wire/i18n.js").Key>} */
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
