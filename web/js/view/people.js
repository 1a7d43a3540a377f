// @ts-check
/** The members, the users who want to join, and what the host may do with them. */

import { initials } from "../wire/initials.js";
import { button, find, html, icon, input, make } from "./dom.js";
import { label, onLanguage, say, silence } from "./language.js";
import { remember } from "./memory.js";
import { opensMenu } from "./menu.js";

/** @typedef {import("../wire/room.js").Room} Room */
/** @typedef {import("../wire/protocol.js").State} State */
/** @typedef {import("../wire/quality.js").Quality} Quality */

/** How long whoever was removed is kept out, in seconds. */
const BANNED = 600;

export class People {
  #room;
  /** What changes in a row from moment to moment. @type {Map<string, { face: HTMLElement, line: HTMLElement }>} */
  #rows = new Map();
  /** @type {Map<string, Quality>} */
  #told = new Map();
  #hands;
  #isShown;

  /** @param {Room} room @param {import("../wire/hands.js").Hands} hands @param {() => boolean} isShown  whether the list can be seen */
  constructor(room, hands, isShown) {
    this.#room = room;
    this.#hands = hands;
    this.#isShown = isShown;
    hands.on("changed", () => this.draw());
    for (const event of /** @type {const} */ (["joined", "came", "left", "changed", "me", "room", "knocks"])) {
      room.on(event, () => this.draw());
    }
    onLanguage(() => this.draw());
    input("lock").addEventListener("change", () => room.lock(input("lock").checked));
    button("end").addEventListener("click", async () => {
      if (await question({ title: "people.end.sure", choices: [{ answer: "yes", key: "people.end", className: "danger" }] })) room.end();
    });
  }

  /** @param {string} id @param {boolean} isSpeaking */
  speak(id, isSpeaking) {
    this.#rows.get(id)?.face.classList.toggle("speaking", isSpeaking);
  }

  /** Says how the connection with somebody is, where there is something to say. @param {string} id @param {Quality} quality */
  tell(id, quality) {
    this.#told.set(id, quality);
    const line = this.#rows.get(id)?.line;
    const key = /** @type {const} */ (`people.connection.${quality}`);
    if (!line || line.dataset.t === key) return;
    line.hidden = key === "people.connection.good";
    say(line, key);
  }

  draw() {
    this.#sum();
    if (this.#isShown()) this.#list();
  }

  /** What is seen beside the list. */
  #sum() {
    const { members, host, isHost, locked, knocks } = this.#room;
    html("host-tools").hidden = !isHost;
    find("room-locked", SVGElement).toggleAttribute("hidden", !locked);
    const [count, waiting] = [members.size + (host ? 1 : 0), knocks.size];
    html("count").textContent = String(waiting || count);
    html("count").classList.toggle("quiet", waiting === 0);
    html("count").hidden = count < 2 && waiting === 0;
    // The text for screen readers contains the visible text.
    label(button("open-people"), waiting > 0 ? "people.waiting" : "people.count", { count, waiting });
  }

  #list() {
    const { members, me, you, locked, knocks } = this.#room;
    for (const id of this.#told.keys()) if (!members.has(id)) this.#told.delete(id);
    this.#rows.clear();
    const people = [{ id: you, name: me.name, state: me.state }, ...members.values()];
    // Raised hands come first, in their order.
    const order = (/** @type {{ id: string }} */ { id }) => this.#hands.place(id) || Infinity;
    replace("people-list", ...people.sort((a, b) => (order(a) === order(b) ? 0 : order(a) - order(b))).map((it) => this.#person(it)));
    replace("knocks", ...[...knocks].map(([id, name]) => this.#knock(id, name)));
    input("lock").checked = locked;
  }

  /** @param {{ id: string, name: string, state: State }} person */
  #person({ id, name, state }) {
    const shown = id === this.#room.you ? say(make("p"), "call.you", { name }) : silence(make("p"), name);
    const whom = make("div", "whom", shown);
    if (id === this.#room.host) whom.append(say(make("p", "small soft"), "people.isHost"));
    const line = make("p", "small soft");
    whom.append(line);
    const face = make("span", "face", initials(name));
    this.#rows.set(id, { face, line });
    this.tell(id, this.#told.get(id) ?? "good");
    const item = make("li", "", face, whom, icons(state));
    const place = this.#hands.place(id);
    if (place > 0) item.querySelector(".icons")?.prepend(make("span", "hand", sign("hand", "people.hand"), String(place)));
    if (id === this.#room.you) item.append(this.#renamer(name));
    else if (this.#room.isHost) item.append(this.#hostActions(id, name));
    return item;
  }

  /** @param {string} name */
  #renamer(name) {
    const it = label(make("button", "plain only-icon soft", icon("edit")), "people.rename");
    it.type = "button";
    it.addEventListener("click", async () => {
      const { askName } = await import("./rename.js");
      const chosen = await askName(name);
      if (!chosen) return;
      remember("name", chosen);
      this.#room.show({ name: chosen });
    });
    return it;
  }

  /** @param {string} id @param {string} name */
  #hostActions(id, name) {
    const opener = label(make("button", "plain only-icon", icon("more")), "people.more", { name });
    opener.type = "button";
    opensMenu(opener, () => [
      ...(this.#hands.place(id) ? [{ key: /** @type {const} */ ("people.lower"), values: { name }, icon: "hand", act: () => this.#hands.lower(id) }] : []),
      { key: "people.makeHost", values: { name }, icon: "star", act: () => this.#promote(id, name) },
      { key: "people.kick", values: { name }, icon: "remove", isBad: true, act: () => this.#remove(id, name) },
    ]);
    return make("div", "host-only", opener);
  }

  /** @param {string} id @param {string} name */
  async #promote(id, name) {
    const choices = [{ answer: "yes", key: "people.makeHost.yes", className: "primary" }];
    if (await question({ title: "people.makeHost.sure", text: "people.makeHost.why", values: { name }, choices })) this.#room.decide("host", id);
  }

  /** @param {string} id @param {string} name */
  async #remove(id, name) {
    const choices = [
      { answer: "once", key: "people.kick.once", className: "danger" },
      { answer: "ban", key: "people.kick.ban", className: "danger" },
    ];
    const answer = await question({ title: "people.kick.sure", text: "people.kick.why", values: { name }, choices });
    if (answer) this.#room.decide("kick", id, answer === "ban" ? { ban_s: BANNED } : {});
  }

  /** @param {string} id @param {string} name */
  #knock(id, name) {
    const admit = say(make("button", "primary"), "people.admit");
    const deny = say(make("button"), "people.deny");
    admit.addEventListener("click", () => this.#room.decide("admit", id));
    deny.addEventListener("click", () => this.#room.decide("deny", id));
    return make("li", "", say(make("p", "whom"), "people.knocks", { name }), admit, deny);
  }
}

/** @param {any} about */
async function question(about) {
  const { ask } = await import("./ask.js");
  return ask(about);
}

/** @param {State} state */
function icons({ mic, cam, screen, unsaid }) {
  const all = make("span", "icons");
  if (unsaid) return all;
  if (screen) all.append(sign("screen", "people.sharing"));
  if (!mic) all.append(sign("mic-off", "people.micOff"));
  if (!cam && !screen) all.append(sign("camera-off", "people.camOff"));
  return all;
}

/** @param {string} name @param {import("../wire/i18n.js").Key} key */
function sign(name, key) {
  const drawn = icon(name, "small");
  drawn.removeAttribute("aria-hidden");
  drawn.setAttribute("role", "img");
  return label(drawn, key);
}

/** Draws a list anew, and puts the focus back where it was. @param {string} id @param {...HTMLElement} items */
function replace(id, ...items) {
  const list = html(id);
  const focused = [...list.querySelectorAll("button")].indexOf(/** @type {any} */ (document.activeElement));
  list.replaceChildren(...items);
  if (focused >= 0) list.querySelectorAll("button")[focused]?.focus();
}
