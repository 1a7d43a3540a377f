// @ts-check
/** Where this site is on its host, and where its files are: both follow from the address of one of its modules. */

/**
 * `/call/~version/js/wire/place.js` belongs to a site at `/call/` with files at `/call/~version/`.
 * @param {string} module
 */
export function placeOf(module) {
  const [, home = "/", version = ""] = /^https?:\/\/[^/]*(\/.*?)(~[^/]*\/)?js\/wire\/[^/]*$/.exec(module) ?? [];
  return { home, files: home + version };
}

export const { home: HOME, files: FILES } = placeOf(import.meta.url);
