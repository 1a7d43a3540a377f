// @ts-check
/** Finds the links in what somebody wrote. */

/** Of a kind that a browser opens by itself, up to a blank or what encloses links in a text; nothing that hides or turns what is seen. */
const LINK = /https?:\/\/[^\s<>"“”«»\p{Cc}\p{Cf}]+/giu;
/** The end of a sentence is not part of a link. */
const TRAILING = /[.,;:!?'’…)\]}]+$/u;
/** A bracket belongs to the link if it was opened there. @type {Record<string, string>} */
const OPENED = { ")": "(", "]": "[", "}": "{" };

/**
 * @param {string} text
 * @returns {{ text: string, href?: string }[]}  in order; the text of a link is where it leads
 */
export function splitLinks(text) {
  /** @type {{ text: string, href?: string }[]} */
  const parts = [];
  let from = 0;
  for (const { 0: found, index } of text.matchAll(LINK)) {
    const written = trim(found);
    const shown = addressOf(written);
    if (!shown) continue;
    if (index > from) parts.push({ text: text.slice(from, index) });
    parts.push(shown);
    from = index + written.length;
  }
  if (from < text.length) parts.push({ text: text.slice(from) });
  return parts;
}

/** @param {string} found */
function trim(found) {
  let link = found;
  for (;;) {
    const [end] = TRAILING.exec(link) ?? [];
    if (!end) return link;
    const last = link.at(-1) ?? "";
    const open = OPENED[last];
    if (open && count(link, open) >= count(link, last)) return link;
    link = link.slice(0, -1);
  }
}

/** @param {string} text @param {string} sign */
function count(text, sign) {
  return text.split(sign).length - 1;
}

/**
 * As it was written, unless the host looks different from what it is: letters of another script are shown as "xn--…".
 * @param {string} written
 */
function addressOf(written) {
  let url;
  try {
    url = new URL(written);
  } catch {
    return null;
  }
  // What stands before an @ looks like the host.
  if (url.username || url.password || !url.hostname) return null;
  const isPlain = written.toLowerCase().startsWith(`${url.protocol}//${url.host}`);
  return { text: isPlain ? written : url.href, href: url.href };
}
