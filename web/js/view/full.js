// @ts-check
/** The whole screen for the call, and back. */

/** A phone may have none to give. */
export const canFillScreen = document.fullscreenEnabled;

export function fillScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  // Of all that is shown, so that dialogs and notices are seen, too.
  else if (canFillScreen) document.documentElement.requestFullscreen().catch(() => {});
}
