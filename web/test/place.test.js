import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { HOME, placeOf } from "../js/wire/place.js";

test("a module knows where its site and its files are", () => {
  for (const [before, home, files] of [
    ["https://h/", "/", "/"],
    ["https://h/~v-_1/", "/", "/~v-_1/"],
    ["https://h/call/", "/call/", "/call/"],
    ["http://localhost:8080/a/js/~b/~v/", "/a/js/~b/", "/a/js/~b/~v/"],
  ]) {
    assert.deepEqual(placeOf(`${before}js/wire/place.js`), { home, files });
  }
});

test("a module that came from no server is as at the root of one", () => {
  assert.equal(HOME, "/");
});

test("no script and no style names a path from the root of the host", () => {
  const web = new URL("..", import.meta.url);
  for (const folder of ["js/", "js/view/", "js/wire/", "css/"]) {
    for (const name of readdirSync(new URL(folder, web)).filter((it) => /\.(js|css)$/.test(it))) {
      // The admin listener has a host of its own.
      if (name === "status.js") continue;
      const code = readFileSync(new URL(folder + name, web), "utf8").replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*/gm, "");
      const paths = code.match(/["'`(]\/(?:api\/|ws\b|r\/|check\b|js\/|css\/|i18n\/|icon|safety|docs\/)|href = "\/|assign\("\//g);
      assert.equal(paths, null, `${folder}${name}: begin it with HOME or FILES of js/wire/place.js`);
    }
  }
});
