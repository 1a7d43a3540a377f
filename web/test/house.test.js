import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const js = new URL("../js/", import.meta.url);
const sources = (folder) => readdirSync(new URL(folder, js)).filter((name) => name.endsWith(".js")).map((name) => [`${folder}${name}`, readFileSync(new URL(folder + name, js), "utf8")]);

test("the wire knows neither the page nor a clock nor a socket of its own", () => {
  for (const [name, text] of sources("wire/")) {
    const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
    const own = name === "wire/clock.js" ? /\b(document|window|localStorage|navigator|location)\b/ : /\b(document|window|localStorage|navigator|setTimeout|setInterval|performance|Math\.random|Date)\b/;
    assert.doesNotMatch(code, own, name);
    assert.doesNotMatch(code, /from "\.\.\/view/, name);
  }
});

test("nothing that others sent becomes markup", () => {
  for (const [name, text] of [...sources("../"), ...sources(""), ...sources("view/"), ...sources("wire/")]) {
    assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|setAttribute\("style"/, name);
  }
});

test("every module is checked, and begins with what it does", () => {
  for (const [name, text] of [...sources("../"), ...sources(""), ...sources("view/"), ...sources("wire/")]) {
    if (name !== "early.js") assert.match(text, /^\/\/ @ts-check\n\/\*\* [A-Z"].*/, name);
  }
});

test("a page asks for all its modules at once", () => {
  const web = new URL("..", js);
  const read = (path) => readFileSync(new URL(path, web), "utf8");
  for (const page of readdirSync(web).filter((name) => name.endsWith(".html"))) {
    const html = read(page);
    const [, entry] = html.match(/type="module" src="\/([^"]+)"/);
    const needed = new Set([entry]);
    for (const path of needed) {
      for (const [, to] of read(path).matchAll(/from "(\.[^"]+)"/g)) needed.add(new URL(to, new URL(path, web)).pathname.slice(web.pathname.length));
    }
    const asked = [...html.matchAll(/rel="modulepreload" href="\/([^"]+)"/g)].map(([, path]) => path);
    assert.deepEqual([entry, ...asked].sort(), [...needed].sort(), page);
  }
});

test("what the server takes for a comment is one: a template literal has no such line, and each ends", () => {
  for (const [name, text] of [...sources("../"), ...sources(""), ...sources("view/"), ...sources("wire/")]) {
    let isTemplate = false;
    for (const line of text.replace(/^\s*\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "").split("\n")) {
      if (isTemplate) assert.doesNotMatch(line, /^\s*\/[/*]/, name);
      if ((line.match(/(?<!\\)`/g)?.length ?? 0) % 2) isTemplate = !isTemplate;
    }
    assert.equal(isTemplate, false, name);
  }
});
