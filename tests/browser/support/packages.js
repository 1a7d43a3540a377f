/** The npm packages of these tests, which tests/run installs into target/node. */

import { createRequire } from "node:module";

const require = createRequire(new URL("../../../target/node/", import.meta.url));

export const puppeteer = require("puppeteer-core");
export const axeFile = require.resolve("axe-core/axe.min.js");
