// Before the first paint, and therefore no module: the theme that was chosen or that the address asks for, so that a dark page does not flash white, and
// the language, so that a Korean page does not flash English.
{
  const page = document.documentElement;
  const recall = (/** @type {string} */ item) => {
    try {
      return localStorage.getItem(item);
    } catch {
      return null; // Storage is blocked: the page is as the system is.
    }
  };
  const asked = new URLSearchParams(location.search);
  const theme = ["light", "dark"].find((it) => it === asked.get("theme")) ?? recall("theme");
  if (theme) page.dataset.theme = theme;
  // The same choice as chooseLanguage of wire/i18n.js.
  const wishes = [asked.get("lang"), recall("language"), ...(navigator.languages ?? [])];
  const language = wishes.map((wish) => wish?.toLowerCase().split("-")[0]).find((it) => it === "en" || it === "ko");
  if (language === "ko") {
    const texts = document.createElement("link");
    texts.rel = "modulepreload";
    texts.href = new URL("../i18n/ko.js", /** @type {HTMLScriptElement} */ (document.currentScript).src).href;
    document.head.append(texts);
    page.dataset.waits = "";
    // A page that stays in English is better than none.
    setTimeout(() => delete page.dataset.waits, 3000);
  }
}
