/** A page and whoever is in front of it: nothing in it may fail unnoticed. */

import assert from "node:assert/strict";

import { watch } from "./watch.js";

/** On a machine that does a lot else. */
const PATIENCE = 30_000;

export class Visitor {
  page;
  /** What else this person opens is in the same profile. */
  context;
  /** What the browser complained about. @type {string[]} */
  complaints = [];
  /** @type {RegExp[]} */
  #expected = [];
  #isOnly;

  /**
   * In a profile of its own: another person, though in the same browser. Unless `isMain`: then in the browser's own, which is
   * not private, and may do more.
   * @param {import("puppeteer-core").Browser} browser
   * @param {{ language?: string, theme?: "light" | "dark", viewport?: { width: number, height: number }, downloads?: string, isMain?: boolean, prepare?: () => void, expose?: Record<string, (...args: any[]) => any> }} [options]
   *   `downloads` is where files are saved; `prepare` runs in each page before its first script, and can
   *   call what is exposed
   */
  static async with(browser, { language = "en", theme = "light", viewport = { width: 1280, height: 800 }, downloads, isMain = false, prepare, expose = {} } = {}) {
    const own = () => browser.createBrowserContext(downloads ? { downloadBehavior: { policy: "allow", downloadPath: downloads } } : {});
    const context = isMain ? browser.defaultBrowserContext() : await own();
    // A window of its own: what is behind another tab shows no frames.
    const page = await context.newPage({ type: "window" });
    const visitor = new this(page, context, !isMain);
    page.setDefaultTimeout(PATIENCE);
    await page.setViewport(viewport);
    await page.evaluateOnNewDocument(watch);
    // As somebody who has chosen both before.
    await page.evaluateOnNewDocument((language, theme) => {
      try {
        localStorage.setItem("language", language);
        localStorage.setItem("theme", theme);
      } catch {} // about:blank has no storage
    }, language, theme);
    for (const [name, act] of Object.entries(expose)) await page.exposeFunction(name, act);
    if (prepare) await page.evaluateOnNewDocument(prepare);
    return visitor;
  }

  /** @param {import("puppeteer-core").Page} page @param {import("puppeteer-core").BrowserContext} context @param {boolean} isOnly  whether the profile ends with it */
  constructor(page, context, isOnly) {
    this.page = page;
    this.context = context;
    this.#isOnly = isOnly;
    page.on("pageerror", (error) => this.complaints.push(`uncaught: ${error.message}`));
    page.on("console", (message) => {
      if (message.type() === "error") this.complaints.push(`console: ${message.text()} ${message.location()?.url ?? ""}`);
    });
  }

  /** A complaint that the test provokes. @param {RegExp} complaint */
  expect(complaint) {
    this.#expected.push(complaint);
  }

  /** Ends it, and fails if anything was complained about. */
  async close() {
    const end = () => (this.#isOnly ? this.context : this.page).close();
    const violations = await this.page.evaluate(() => window.watched?.violations ?? []).finally(end);
    const unexpected = [...this.complaints, ...violations].filter((complaint) => !this.#expected.some((it) => it.test(complaint)));
    assert.deepEqual(unexpected, []);
  }

  /** @param {string} selector */
  click(selector) {
    return this.page.locator(selector).click();
  }

  /** Clicks, and agrees to what the page asks then. @param {string} selector */
  async confirm(selector) {
    this.page.once("dialog", (dialog) => dialog.accept());
    await this.click(selector);
  }

  /** The text of an element, as it is shown. @param {string} selector */
  text(selector) {
    return this.page.$eval(selector, (element) => element.innerText.trim());
  }

  /** Waits until `predicate`, which runs in the page, says so. */
  until(predicate, ...values) {
    return this.page.waitForFunction(predicate, { polling: 50 }, ...values);
  }
}
