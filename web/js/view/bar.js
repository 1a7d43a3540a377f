// @ts-check
/** The bar on top of a page: where one is, which language, light or dark. */

import { LANGUAGES } from "../wire/i18n.js";
import { HOME } from "../wire/place.js";
import { bringIcons, html, icon, make } from "./dom.js";
import { currentLanguage, label, say, setLanguage, startLanguage } from "./language.js";
import { recall, remember } from "./memory.js";

const THEMES = /** @type {const} */ (["auto", "light", "dark"]);

/** Draws it, and with it the page in the right language, with its pictures. */
export async function startBar() {
  await startLanguage();
  bringIcons();
  const brand = make("a", "brand", icon("hairpin"), "Hairpin");
  brand.href = HOME;
  html("bar").append(brand, themeButton(), languageSelect());
}

/** @returns {HTMLSelectElement} */
export function languageSelect() {
  const select = label(make("select"), "bar.language");
  for (const [language, name] of Object.entries(LANGUAGES)) select.add(new Option(name, language));
  select.value = currentLanguage();
  select.addEventListener("change", async () => {
    await setLanguage(/** @type {keyof typeof LANGUAGES} */ (select.value));
    document.querySelectorAll("select").forEach((other) => {
      if (other.dataset.tLabel === "bar.language") other.value = currentLanguage();
    });
  });
  return select;
}

/** @returns {HTMLSelectElement} */
export function themeSelect() {
  const select = label(make("select"), "bar.theme");
  for (const theme of THEMES) {
    const option = say(make("option"), `theme.${theme}`);
    option.value = theme;
    select.add(option);
  }
  select.value = recall("theme") || "auto";
  select.addEventListener("change", () => setTheme(select.value));
  return select;
}

/** One press: the other of light and dark. */
function themeButton() {
  const button = label(make("button", "plain only-icon", icon("theme")), "bar.theme");
  button.type = "button";
  button.addEventListener("click", () => setTheme(isDark() ? "light" : "dark"));
  return button;
}

/** @param {string} theme */
function setTheme(theme) {
  const chosen = theme === "auto" ? "" : theme;
  remember("theme", chosen);
  if (chosen) document.documentElement.dataset.theme = chosen;
  else delete document.documentElement.dataset.theme;
}

function isDark() {
  const { theme } = document.documentElement.dataset;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}
