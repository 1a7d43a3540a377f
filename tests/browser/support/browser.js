/** Debian's Chromium and Firefox ESR, without a window, with cameras and microphones that are made up. */

import { inside } from "./lab.js";
import { puppeteer } from "./packages.js";

const CHROMIUM = [
  "--no-sandbox",
  "--disable-quic",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // Its own surface costs more than the pages do.
  "--no-startup-window",
  "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup",
  // The daemon's certificate is made for the test. With this Chromium also takes it for `turns:`.
  "--ignore-certificate-errors",
];
/** Cameras that every page may use: the second sees depth, and sends no picture. Ten frames a second are enough. */
const DEVICES = ["--use-fake-device-for-media-stream=device-count=4,fps=10", "--use-fake-ui-for-media-stream"];
/** Those that one can be switched for another. */
export const CAMERAS = ["fake_device_0", "fake_device_2", "fake_device_3"];

/** @param {{ namespace?: string, devices?: string[] }} [options]  `devices` instead of those */
export function launchChromium({ namespace, devices = DEVICES } = {}) {
  const args = puppeteer.defaultArgs({ browser: "chrome", headless: true, args: [...CHROMIUM, ...devices] });
  const [program, ...words] = [...inside(namespace), "chromium"];
  // Through a pipe: a network namespace has a loopback of its own.
  return puppeteer.launch({
    browser: "chrome",
    executablePath: program === "ip" ? "/usr/sbin/ip" : `/usr/bin/${program}`,
    ignoreDefaultArgs: true,
    args: [...words, ...args],
    pipe: true,
    waitForInitialPage: false,
  });
}

/** @param {{ loopback?: boolean }} [options]  `loopback`: whether it speaks to servers there, which it does not by itself */
export function launchFirefox({ loopback = true } = {}) {
  return puppeteer.launch({
    browser: "firefox",
    executablePath: "/usr/bin/firefox-esr",
    headless: true,
    acceptInsecureCerts: true,
    extraPrefsFirefox: {
      "media.navigator.streams.fake": true,
      "media.navigator.permission.disabled": true,
      "media.autoplay.default": 0,
      "media.peerconnection.ice.loopback": loopback,
    },
  });
}
