// @ts-check
/** Recognizes the browsers inside of apps, of which many have no camera, and what leads out of them. */

/** Their names as their user agents have them. The last two are an Android WebView, and one of iOS. */
const APPS = /KAKAOTALK|KAKAOSTORY|\bInstagram\b|\bFB(AN|AV|IOS|_IAB)\b|\bLine\/|MicroMessenger|\bNAVER\b|DaumApps|\bBAND\/|BytedanceWebview|musical_ly|Snapchat|Pinterest\/|LinkedInApp|Twitter for i|; wv\)|\b(iPhone|iPad|iPod)\b(?!.*(Safari|CriOS|FxiOS|EdgiOS)\/)/;

/** @param {string} userAgent */
export function isInApp(userAgent) {
  return APPS.test(userAgent);
}

/**
 * A link that opens the page in the browser of the device; empty where there is none.
 * @param {string} userAgent
 * @param {string} address  of the page, with the room's key
 */
export function wayOut(userAgent, address) {
  if (/KAKAOTALK/.test(userAgent)) return `kakaotalk://web/openExternal?url=${encodeURIComponent(address)}`;
  const url = new URL(address);
  if (/\bLine\//.test(userAgent)) {
    url.searchParams.set("openExternalBrowser", "1");
    return url.href;
  }
  if (!/Android/.test(userAgent)) return "";
  const scheme = url.protocol.slice(0, -1);
  // Android takes what follows the last # for itself, and the key before it for part of the address.
  return `intent:${url.href.slice(url.protocol.length)}#Intent;scheme=${scheme};action=android.intent.action.VIEW;category=android.intent.category.BROWSABLE;end`;
}
