/**
 * Opens the check page in a browser of the machine that this runs on, and prints what it says: `node look.js chromium URL`. In another network
 * namespace than the tests, where Firefox can be driven from nowhere else.
 */

import { launchChromium, launchFirefox } from "./browser.js";
import { Check } from "./check.js";

const [name, url] = process.argv.slice(2);
// Firefox as everybody has it.
const browser = await (name === "firefox" ? launchFirefox({ loopback: false }) : launchChromium());
try {
  const check = await Check.at(browser, url);
  console.log(JSON.stringify(await check.verdict()));
} finally {
  await browser.close();
}
