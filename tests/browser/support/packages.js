/** The npm packages of these tests: tests/run installs them into target/node, and the clients of other servers into target/compat. */

import { createRequire } from "node:module";

const require = createRequire(new URL("../../../target/node/", import.meta.url));

export const puppeteer = require("puppeteer-core");
export const axeFile = require.resolve("axe-core/axe.min.js");

/** A file of a client of another signaling server, which tests/run installs into target/compat. @param {string} path */
export const compatFile = (path) => new URL(`../../../target/compat/node_modules/${path}`, import.meta.url);
