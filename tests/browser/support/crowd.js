/** People who are on the stage of one page only, without browsers of their own: enough to look at, and light. Runs inside the page. */

const NAMES = ["Ada", "하나", "Grace", "Linus", "Margaret", "דוד", "Katherine", "O’Brien-Þórsson"];

/**
 * @param {object} options
 * @param {string[]} options.names  of everybody, the first of whom is oneself
 * @param {number} [options.screens]  how many of the others share one
 * @param {boolean} [options.own]  whether one shares oneself
 * @param {"grid" | "speaker"} [options.layout]
 * @param {number} [options.pinned]  whose picture
 * @param {boolean} [options.isUpright]  whether all of the others hold phones upright: otherwise the third does, and the fifth has no camera
 */
async function gather({ names, screens = 0, own = false, layout = "grid", pinned = 0, isUpright = false }) {
  const { Stage, screenOf } = await import(new URL("view/stage.js", document.querySelector("script[type=module]").src));
  for (const tile of document.querySelectorAll("#stage .tile")) tile.remove();
  document.getElementById("alone").hidden = names.length > 1;
  const stage = new Stage({ dot() {}, people() {}, stop() {}, full() {} });
  const isPhone = matchMedia("(pointer: coarse)").matches;
  names.forEach((name, i) => {
    stage.add(`p${i}`, { isSelf: i === 0 });
    const screen = i === 0 ? own : i <= screens;
    stage.show(`p${i}`, { name, mic: i % 3 !== 2, cam: i !== 4, screen, mirrored: i === 0, quality: i === 0 ? undefined : ["good", "good", "fair", "poor"][i % 4] });
    stage.tile(`p${i}`).play(window.pretended.camera(i, i === 0 ? isPhone : isUpright || i === 2));
    if (screen && i > 0) stage.tile(screenOf(`p${i}`)).play(window.pretended.screen());
  });
  stage.choose(layout);
  if (pinned) stage.pin(`p${pinned}`);
  stage.tile("p1")?.speak(true);
}

/** @param {import("./guest.js").Guest} guest @param {number} count @param {object} [options]  of `gather` */
export async function crowd(guest, count, options = {}) {
  await guest.page.evaluate(gather, { names: NAMES.slice(0, count), ...options });
  await guest.until(() => [...document.querySelectorAll("#stage .tile:not(.without-picture, [hidden]) video")].every((it) => it.videoWidth > 0));
  return guest;
}
