// Before the first paint, and therefore no module: the theme that was chosen, so that a dark page does not flash white.
try {
  const theme = localStorage.getItem("theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // Storage is blocked: the page is as the system is.
}
