import assert from "node:assert/strict";
import { test } from "node:test";

import { splitLinks } from "../js/wire/links.js";

/** What can be clicked, in brackets. */
const shown = (text) => splitLinks(text).map(({ text, href }) => (href ? `[${text}]` : text)).join("");
const hrefs = (text) => splitLinks(text).flatMap(({ href }) => href ?? []);

test("links in a text can be clicked, and the sentence around them cannot", () => {
  for (const text of [
    "See [https://example.org/a?b=c#d].",
    "[https://example.org], [http://example.org:8080/x]!",
    "([https://example.org/wiki/Hairpin_(turn)])",
    "“[https://example.org/ä/한글]”",
    "[https://example.org]\n[HTTPS://Example.org/A]",
    "<[https://example.org]>",
    "nothing here: example.org, ftp://example.org, mailto:a@example.org, javascript:alert(1)",
    "https:// and http:///",
    "",
  ]) assert.equal(shown(text.replace(/\[(http[^\s]*?)\](?=$|[\s,.!)”>])/gi, "$1")), text);
});

test("a text keeps all its characters around the links", () => {
  const text = "a https://example.org/(b c) d https://example.org. e";
  assert.equal(splitLinks(text).map(({ text }) => text).join(""), text);
});

test("a link looks like where it leads", () => {
  // A Cyrillic а, full-width dots, and a name in front of the host.
  assert.equal(shown("https://аpple.com/login"), "[https://xn--pple-43d.com/login]");
  assert.equal(shown("https://example。org/"), "[https://example.org/]");
  assert.equal(shown("https://bank.example@evil.example/"), "https://bank.example@evil.example/");
  assert.equal(shown("https://0x7f.1/"), "[https://127.0.0.1/]");
  // What turns the direction, or is not seen, ends a link.
  assert.deepEqual(hrefs("https://example.org/\u202Egpj.exe"), ["https://example.org/"]);
  assert.deepEqual(hrefs("https://exam\u200Bple.org/"), ["https://exam/"]);
});

test("only what a browser opens as a page is a link", () => {
  for (const { href } of splitLinks("https://a.example http://b.example HTTP://c.example javascript:https://d.example")) if (href) assert.match(href, /^https?:\/\//);
});

test("a long text without end is split in no time", () => {
  const text = `https://example.org/${"(".repeat(1000)}${")".repeat(900)}`.slice(0, 1000);
  assert.equal(splitLinks(text.repeat(1)).length, 1);
});
