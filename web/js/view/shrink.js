// @ts-check
/** The call in a small window on top of all others, which view/pip.js draws once somebody wants it. */

/** @typedef {import("./stage.js").Stage} Stage */

export const canShrink = "documentPictureInPicture" in window || document.pictureInPictureEnabled === true;

/** @param {Stage} stage */
export async function shrink(stage) {
  const { switchPicture } = await import("./pip.js");
  // A browser that does not open one just now has its reasons, and the call goes on here.
  await switchPicture(stage).catch(() => {});
}

/** Lets the browser ask for it by itself when this tab is hidden. @param {Stage} stage */
export function shrinkWhenHidden(stage) {
  try {
    navigator.mediaSession.setActionHandler(/** @type {MediaSessionAction} */ ("enterpictureinpicture"), () => shrink(stage));
  } catch {
    // This browser never asks.
  }
}
