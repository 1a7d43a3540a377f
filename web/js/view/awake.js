// @ts-check
/** Keeps the screen on during a call. */

export function stayAwake() {
  const ask = async () => {
    try {
      // The lock is lost whenever the page is not seen.
      if (document.visibilityState === "visible") await navigator.wakeLock?.request("screen");
    } catch {
      // The battery is low, or the system does not want it.
    }
  };
  document.addEventListener("visibilitychange", ask);
  ask();
}
