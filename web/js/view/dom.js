// @ts-check
/** Finds and makes elements. Text of others only ever becomes text. */

import { FILES } from "../wire/place.js";

/**
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function find(id, type) {
  const element = document.getElementById(id);
  if (!(element instanceof type)) throw new Error(`#${id} is no ${type.name}`);
  return element;
}

/** @param {string} id */
export const html = (id) => find(id, HTMLElement);
/** @param {string} id */
export const button = (id) => find(id, HTMLButtonElement);
/** @param {string} id */
export const input = (id) => find(id, HTMLInputElement);

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} [className]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/**
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string>} [attributes]
 * @param {...Node} children
 * @returns {SVGElementTagNameMap[Tag]}
 */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/**
 * Copies all icons into the page. An icon shown for the first time while the server is away, for example when the user
 * mutes the microphone, could not be fetched any more.
 */
export function bringIcons() {
  const request = new XMLHttpRequest();
  request.open("GET", `${FILES}icons.svg`);
  request.responseType = "document";
  request.addEventListener("load", () => {
    const sprite = request.responseXML?.documentElement;
    if (!sprite) return;
    for (const symbol of sprite.children) symbol.id = iconAt(symbol.id).slice(1);
    sprite.toggleAttribute("hidden", true);
    document.body.append(sprite);
  });
  request.send();
}

/** Where a picture is. Buttons have ids, too. @param {string} name */
export const iconAt = (name) => `#icon-${name}`;

/** A picture from the sprite. @param {string} name @param {string} [className] */
export function icon(name, className = "") {
  return svg("svg", { class: `icon ${className}`.trim(), "aria-hidden": "true" }, svg("use", { href: iconAt(name) }));
}

/** @param {Element} element @param {string} name */
export function setIcon(element, name) {
  const use = element.querySelector("use");
  if (use) use.setAttribute("href", iconAt(name));
  else element.prepend(icon(name));
}

/** When the page has nothing else to do; Safari does not tell, and waits a moment. @param {() => void} act */
export function whenIdle(act) {
  if ("requestIdleCallback" in window) requestIdleCallback(act, { timeout: 2_000 });
  else setTimeout(act, 200);
}
