// @ts-check
/** Keeps the screen on during a call. */

/** @returns {() => void} what lets it go off again */
export function stayAwake() {
  /** @type {WakeLockSentinel | undefined} */
  let lock;
  const ask = async () => {
    try {
      // The lock is lost whenever the page is not seen.
      if (document.visibilityState === "visible") lock = await navigator.wakeLock?.request("screen");
    } catch {
      // The battery is low, or the system does not want it.
    }
  };
  document.addEventListener("visibilitychange", ask);
  ask();
  return () => {
    document.removeEventListener("visibilitychange", ask);
    lock?.release().catch(() => {});
  };
}
