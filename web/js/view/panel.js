// @ts-check
/** The panel beside the call, and the buttons that open its sheets. */

import { button, html } from "./dom.js";
import { label } from "./language.js";

/** @typedef {"chat" | "people" | "connection" | "settings"} Sheet */

/** @type {Sheet[]} */
const SHEETS = ["chat", "people", "connection", "settings"];

export class Panel {
  /** @type {Sheet | null} */
  open = null;
  #onChange;

  /** @param {(sheet: Sheet | null) => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
    for (const sheet of SHEETS) {
      const opener = label(button(`open-${sheet}`), `controls.${sheet}`);
      opener.addEventListener("click", () => this.toggle(sheet));
      button(`tab-${sheet}`).addEventListener("click", () => this.show(sheet));
    }
    html("panel").addEventListener("keydown", (event) => this.#key(event));
    button("panel-close").addEventListener("click", () => this.close());
    this.#draw();
  }

  /** @param {Sheet} sheet */
  toggle(sheet) {
    if (this.open === sheet) this.close();
    else this.show(sheet);
  }

  /** @param {Sheet} sheet */
  show(sheet) {
    this.open = sheet;
    this.#draw();
    // On a phone the keyboard would hide what there is to read.
    const isTouched = matchMedia("(pointer: coarse)").matches;
    if (sheet === "chat" && !isTouched) html("message").focus();
    else button(`tab-${sheet}`).focus();
  }

  close() {
    const was = this.open;
    this.open = null;
    this.#draw();
    if (!was) return;
    const opener = button(`open-${was}`);
    (opener.offsetParent ? opener : button("open-people")).focus();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === "Escape") return this.close();
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const isTab = event.target instanceof HTMLElement && event.target.role === "tab";
    if (!step || !isTab || !this.open) return;
    const next = (SHEETS.indexOf(this.open) + step + SHEETS.length) % SHEETS.length;
    this.open = SHEETS[next];
    this.#draw();
    button(`tab-${this.open}`).focus();
  }

  #draw() {
    html("panel").hidden = this.open === null;
    for (const sheet of SHEETS) {
      const isOpen = sheet === this.open;
      html(sheet).hidden = !isOpen;
      button(`tab-${sheet}`).setAttribute("aria-selected", String(isOpen));
      button(`tab-${sheet}`).tabIndex = isOpen ? 0 : -1;
      button(`open-${sheet}`).setAttribute("aria-expanded", String(isOpen));
    }
    this.#onChange(this.open);
  }
}
