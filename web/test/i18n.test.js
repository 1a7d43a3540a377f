import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { runInNewContext } from "node:vm";

import en from "../i18n/en.js";
import ko from "../i18n/ko.js";
import { chooseLanguage, loadLanguage, translate } from "../js/wire/i18n.js";

const web = new URL("..", import.meta.url);
const read = (path) => readFileSync(new URL(path, web), "utf8");
const pages = ["index.html", "call.html", "check.html", "safety.html", "admin.html", "404.html"];

test("both languages say the same things, with the same values", () => {
  assert.deepEqual(Object.keys(ko), Object.keys(en));
  const values = (message) => [...new Set(JSON.stringify(message).match(/\{\w+\}/g))].sort();
  for (const key of Object.keys(en)) assert.deepEqual(values(ko[key]), values(en[key]), key);
});

test("the pages say nothing that is not there, and what they say without scripts is the English text", () => {
  for (const page of pages) {
    const text = read(page);
    for (const [, key] of text.matchAll(/data-t(?:-label|-placeholder)?="([^"]+)"/g)) assert.ok(key in en, `${page}: ${key}`);
    for (const [, key, shown] of text.matchAll(/data-t="([^"]+)"[^>]*>([^<]+)</g)) assert.equal(shown, en[key], `${page}: ${key}`);
  }
});

test("no text is left that nobody says", () => {
  const files = ["js", "js/view", "js/wire"].flatMap((folder) => readdirSync(new URL(folder, web)).filter((name) => name.endsWith(".js")).map((name) => `${folder}/${name}`));
  const all = [...pages, ...files].map(read).join("");
  // Keys that are put together: "check.refused.udp".
  const built = /^(password|failure|notice|check|controls|device|keys|theme|connection|tile|call\.dot|people\.connection|file|safety|reaction|record|admin\.limit)\./;
  for (const key of Object.keys(en)) assert.ok(all.includes(`"${key}"`) || built.test(key), key);
});

test("a name from right to left moves nothing of the sentence around it, and any other name stays as it is", () => {
  for (const plain of ["Ada", "하나", "Лев 7", "李·雷!", "1.5\u00a0MB", "👩‍👩‍👧"]) assert.equal(translate("en", "toast.left", { name: plain }), `${plain} has left`);
  for (const name of ["אבא 7", "علي", "𞤀𞤁"]) assert.equal(translate("en", "toast.left", { name }), `\u2068${name}\u2069 has left`);
});

test("what turns the direction or ends a line has no effect outside of its own place", () => {
  for (const turned of ["\u202Ea", "a\u2069\u202E", "\u2067a", "a\u2028", "\u202Da\u202C"]) {
    assert.equal(translate("en", "toast.left", { name: turned }), "\u2068a\u2069 has left");
  }
});

test("the address counts more than the memory, and that more than the browser", () => {
  assert.equal(chooseLanguage({ asked: "ko", stored: "en", preferred: ["en"] }), "ko");
  assert.equal(chooseLanguage({ stored: "ko", preferred: ["en-US"] }), "ko");
  assert.equal(chooseLanguage({ preferred: ["fr", "ko-KR", "en"] }), "ko");
  assert.equal(chooseLanguage({ asked: "toString", preferred: ["de"] }), "en");
});

test("a language that is not loaded yet is English", async () => {
  assert.equal(translate("ko", "toast.left", { name: "Ada" }), "Ada has left");
  assert.ok(await loadLanguage("ko"));
  assert.equal(translate("ko", "bar.language"), ko["bar.language"]);
});

test("the page is hidden until its language is there, if that is not the language of the HTML", () => {
  const early = read("js/early.js");
  for (const asked of ["", "ko", "EN-us", "xx"]) {
    for (const stored of [null, "en", "ko"]) {
      for (const preferred of [undefined, [], ["de"], ["de", "ko-KR", "en"], ["en-GB", "ko"]]) {
        const page = { dataset: {} };
        const head = { preloads: [], append: (link) => head.preloads.push(link.href) };
        runInNewContext(early, {
          document: { documentElement: page, head, currentScript: { src: "https://h/a/~v/js/early.js" }, createElement: () => ({}) },
          localStorage: { getItem: (item) => (item === "language" ? stored : null) },
          location: { search: asked && `?lang=${asked}` },
          navigator: { languages: preferred },
          setTimeout() {},
          URL,
          URLSearchParams,
        });
        const isKorean = chooseLanguage({ asked, stored, preferred }) === "ko";
        assert.equal("waits" in page.dataset, isKorean, `${asked} ${stored} ${preferred}`);
        assert.deepEqual(head.preloads, isKorean ? ["https://h/a/~v/i18n/ko.js"] : []);
      }
    }
  }
});

test("values are put in as they are, and the form follows the number", async () => {
  await loadLanguage("ko");
  assert.equal(translate("en", "toast.came", { name: "$& {name}" }), "$& {name} has joined");
  assert.deepEqual([1, 2].map((count) => translate("en", "chat.unread", { count })), ["Chat: 1 new message", "Chat: 2 new messages"]);
  assert.equal(translate("ko", "chat.unread", { count: 1 }), "채팅 1개 안 읽음");
});
