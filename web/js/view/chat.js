// @ts-check
/** The chat: its messages and files, and the field to send more. */

import { FILE_MAX } from "../wire/files.js";
import { splitLinks } from "../wire/links.js";
import { button, find, html, input, make } from "./dom.js";
import { currentLanguage, label, say, silence, text } from "./language.js";
import { Parcel } from "./parcel.js";
import { countInTitle, ring } from "./title.js";
import { toast } from "./toasts.js";

/** @typedef {import("../wire/conversation.js").Conversation} Conversation */
/** @typedef {import("../wire/conversation.js").Transfer} Transfer */
/** @typedef {import("../wire/room.js").Room} Room */

/** A list scrolled this close to its end follows new messages. */
const NEAR_END = 80;
/** After a pause, who speaks and when is said again. */
const PAUSE = 5 * 60_000;
/** Lines that are kept. */
const LINES_MAX = 500;

export class Chat {
  #conversation;
  #room;
  #isOpen;
  #show;
  #log = html("log");
  #message = find("message", HTMLTextAreaElement);
  /** @type {Map<Transfer, Parcel>} */
  #parcels = new Map();
  #lastBy = "";
  #lastAt = 0;
  #unread = 0;
  /** Of all lines, and of the list. */
  #heights;

  /**
   * @param {object} parts
   * @param {Conversation} parts.conversation
   * @param {Room} parts.room
   * @param {() => boolean} parts.isOpen
   * @param {() => void} parts.show
   */
  constructor({ conversation, room, isOpen, show }) {
    this.#conversation = conversation;
    this.#room = room;
    this.#isOpen = isOpen;
    this.#show = show;
    conversation.on("chat", (member, said) => this.#heard(member.id, member.name, said));
    conversation.on("transfer", (transfer, isNew) => this.#moved(transfer, isNew));
    find("composer", HTMLFormElement).addEventListener("submit", (event) => {
      event.preventDefault();
      this.#say();
    });
    this.#message.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || isComposing(event)) return;
      event.preventDefault();
      this.#say();
    });
    button("attach").addEventListener("click", () => input("file").click());
    input("file").addEventListener("change", () => {
      this.#send([...(input("file").files ?? [])]);
      input("file").value = "";
    });
    document.addEventListener("visibilitychange", () => this.read());
    this.#takeDrops();
    this.#heights = this.#keepEnd();
  }

  /** What was unread is read now. */
  read() {
    if (!this.#isSeen) return;
    this.#unread = 0;
    this.#drawUnread();
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  close() {
    this.#parcels.forEach((parcel) => parcel.close());
    countInTitle("messages", 0);
  }

  #say() {
    const said = this.#message.value.trim();
    if (!said) return;
    this.#message.value = "";
    this.#conversation.say(said);
    this.#append("", text("chat.you"), wordsOf(said), true);
  }

  /** @param {File[]} files */
  #send(files) {
    if (files.length > 0 && !this.#conversation.reachesSomebody) return toast("chat.nobody");
    for (const file of files) {
      if (file.size > FILE_MAX) toast("chat.large", { name: file.name });
      else this.#conversation.offer(file);
    }
  }

  /** @param {string} id @param {string} name @param {string} said */
  #heard(id, name, said) {
    this.#append(id, name, wordsOf(said), false);
    this.#notice();
    const short = said.length > 60 ? `${said.slice(0, 60)}…` : said;
    if (!this.#isSeen) toast("chat.said", { name, text: short }, { key: "panel.chat", act: this.#show });
  }

  /** @param {Transfer} transfer @param {boolean} isNew */
  #moved(transfer, isNew) {
    if (!isNew) return this.#parcels.get(transfer)?.draw();
    const isMine = transfer.way === "out";
    const name = this.#room.members.get(transfer.peer)?.name ?? "";
    const same = [...this.#parcels].find(([other]) => isMine && other.batch === transfer.batch)?.[1];
    const parcel = same ?? new Parcel(transfer, name, {
      accept: (transfer) => this.#conversation.accept(transfer),
      callOff: (transfer) => this.#conversation.callOff(transfer),
    });
    this.#parcels.set(transfer, parcel);
    if (same) return same.add(transfer, name);
    this.#append(isMine ? "" : transfer.peer, isMine ? text("chat.you") : name, parcel.element, isMine);
    if (isMine) return;
    this.#notice();
    if (!this.#isSeen) toast("file.from", { name, file: transfer.name }, { key: "panel.chat", act: this.#show });
  }

  /** Whoever reads the last line still does when a picture appears below it, or a phone's keyboard takes the room. */
  #keepEnd() {
    let [isKept, before] = [true, 0];
    this.#log.addEventListener("scroll", () => {
      const { scrollTop } = this.#log;
      // The event comes later than the scrolling, and something may have grown meanwhile. Only a user scrolls up.
      isKept = this.#isAtEnd || (isKept && scrollTop >= before);
      before = scrollTop;
    });
    const heights = new ResizeObserver(() => {
      if (isKept) this.#log.scrollTop = this.#log.scrollHeight;
    });
    heights.observe(this.#log);
    return heights;
  }

  get #isAtEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#log;
    return scrollHeight - scrollTop - clientHeight < NEAR_END;
  }

  /** @param {string} by @param {string} name @param {HTMLElement} content @param {boolean} isMine */
  #append(by, name, content, isMine) {
    const isAtEnd = this.#isAtEnd;
    const now = new Date();
    const isFirst = by !== this.#lastBy || this.#log.childElementCount === 0 || now.getTime() - this.#lastAt > PAUSE;
    const line = make("div", `said${isMine ? " mine" : ""}${isFirst ? " first" : ""}`);
    line.title = moment(now);
    if (isFirst) line.append(make("div", "from", ...(isMine ? [] : [silence(make("p", "by"), name)]), timeOf(now)));
    line.append(content);
    this.#log.append(line);
    this.#heights.observe(line);
    if (this.#log.childElementCount > LINES_MAX) this.#forget(this.#log.children[0]);
    this.#lastBy = by;
    this.#lastAt = now.getTime();
    if (isAtEnd || isMine) this.#log.scrollTop = this.#log.scrollHeight;
  }

  /** A line takes its file along. @param {Element} line */
  #forget(line) {
    line.remove();
    for (const [transfer, parcel] of this.#parcels) {
      if (!line.contains(parcel.element)) continue;
      this.#parcels.delete(transfer);
      parcel.close();
      // The rest of the file could not be saved any more.
      if (transfer.way === "in") this.#conversation.callOff(transfer);
    }
  }

  get #isSeen() {
    return this.#isOpen() && !document.hidden;
  }

  #notice() {
    if (document.hidden) ring("message");
    if (this.#isSeen) return;
    this.#unread += 1;
    this.#drawUnread();
  }

  #drawUnread() {
    countInTitle("messages", this.#unread);
    html("unread").hidden = this.#unread === 0;
    html("unread").textContent = this.#unread > 99 ? "99+" : String(this.#unread);
    if (this.#unread > 0) label(button("open-chat"), "chat.unread", { count: this.#unread });
    else label(button("open-chat"), "controls.chat");
  }

  /** Files may be dropped anywhere on the call, and pictures pasted into the message. */
  #takeDrops() {
    const call = html("call");
    const target = make("div", "drop", say(make("p"), "chat.drop"));
    call.addEventListener("dragover", (event) => {
      event.preventDefault();
      if (event.dataTransfer?.types.includes("Files")) call.append(target);
    });
    call.addEventListener("dragleave", ({ relatedTarget }) => {
      if (!(relatedTarget instanceof Node && call.contains(relatedTarget))) target.remove();
    });
    this.#message.addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      // Of what is text and picture, such as cells of a table, the text is meant.
      if (files.length === 0 || event.clipboardData?.types.includes("text/plain")) return;
      event.preventDefault();
      this.#send(files.map(named));
    });
    call.addEventListener("drop", (event) => {
      event.preventDefault();
      target.remove();
      const files = [...(event.dataTransfer?.files ?? [])];
      if (files.length === 0) return;
      this.#show();
      this.#send(files);
    });
  }
}

/** What somebody wrote, with links that say where they lead. @param {string} said */
function wordsOf(said) {
  const parts = splitLinks(said).map(({ text, href }) => {
    if (!href) return text;
    const link = make("a", "", text);
    link.href = href;
    link.target = "_blank";
    link.rel = "noopener noreferrer";
    link.dir = "ltr";
    return link;
  });
  const words = silence(make("p", "text"));
  words.append(...parts);
  return words;
}

/** A picture of the clipboard has the same name each time. @param {File} file */
function named(file) {
  const end = /^image\.(\w+)$/.exec(file.name)?.[1];
  const at = new Date().toISOString().replace(/\D/g, "").slice(0, 14);
  return end ? new File([file], `picture-${at}.${end}`, { type: file.type }) : file;
}

/** @param {Date} at */
function moment(at) {
  return new Intl.DateTimeFormat(currentLanguage(), { hour: "numeric", minute: "2-digit" }).format(at);
}

/** @param {Date} at */
function timeOf(at) {
  const time = make("time", "", moment(at));
  time.dateTime = at.toISOString();
  return time;
}

/**
 * While a syllable is being composed, Enter ends the syllable and not the message. In Safari it is then over already, and
 * only the code of the key tells.
 * @param {KeyboardEvent} event
 */
function isComposing(event) {
  return event.isComposing || event.keyCode === 229;
}
