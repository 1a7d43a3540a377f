/** The check page: one verdict for each way to the server, and a measurement through the relay. */

import en from "../../../web/i18n/en.js";
import { Visitor } from "./visitor.js";

/** @typedef {"rooms" | "stun" | "udp" | "tcp" | "tls"} Way */

export class Check extends Visitor {
  /**
   * @param {import("puppeteer-core").Browser} browser
   * @param {string} url
   * @param {Parameters<typeof Visitor.with>[1]} [options]
   * @returns {Promise<Check>}
   */
  static async at(browser, url, options) {
    const check = /** @type {Check} */ (await Check.with(browser, options));
    await check.page.goto(url);
    return check;
  }

  /**
   * Waits until it is over.
   * @returns {Promise<{ seconds: number, mood: string, summary: string, ways: Record<Way, string>, loop: string, figures: string[] }>}
   *   what it says of each thing, as the key of the text
   */
  async verdict() {
    await this.page.waitForSelector("#summary[data-mood]");
    const seen = await this.page.evaluate(() => ({
      seconds: performance.now() / 1000,
      mood: document.getElementById("summary").dataset.mood,
      summary: document.getElementById("summary-text").textContent,
      ways: Object.fromEntries([...document.querySelectorAll("#ways li")].map((it) => [it.id.slice(4), it.querySelector(".what").textContent])),
      loop: document.getElementById("loop-text").textContent,
      figures: [...document.querySelectorAll("#figures dd")].map((it) => it.textContent),
    }));
    const ways = Object.entries(seen.ways).map(([way, said]) => [way, keyOf(said, way)]);
    return { ...seen, summary: keyOf(seen.summary), ways: Object.fromEntries(ways), loop: keyOf(seen.loop) };
  }
}

/** The key of a text of the check, whatever was put into it; of several with the same text, that of the way. @param {string} said */
function keyOf(said, way = "") {
  const keys = Object.entries(en).filter(([key, text]) => key.startsWith("check.") && isSaid(text, said)).map(([key]) => key);
  return (keys.find((key) => key.endsWith(way)) ?? keys[0] ?? said).replace(/^check\./, "");
}

/** @param {unknown} text @param {string} said */
function isSaid(text, said) {
  if (typeof text !== "string") return false;
  const [before, after = ""] = text.split(/\{\w+\}/);
  return text.includes("{") ? said.startsWith(before) && said.endsWith(after) : said === text;
}
