/** What a visit to a page costs: requests, and bytes as they come out of the network, headers too. */

/**
 * @param {import("puppeteer-core").Page} page
 * @returns {Promise<(act: () => Promise<unknown>) => Promise<{ requests: number, bytes: number }>>} weighs what `act` loads
 */
export async function scales(page) {
  const session = await page.createCDPSession();
  await session.send("Network.enable");
  /** Of each request that the network served: what its end says it took. @type {Map<string, number>} */
  let taken = new Map();
  const fromMemory = new Set();
  session.on("Network.requestServedFromCache", ({ requestId }) => fromMemory.add(requestId));
  session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    if (encodedDataLength > 0 && !fromMemory.has(requestId)) taken.set(requestId, encodedDataLength);
  });
  return async (act) => {
    taken = new Map();
    await act();
    const sizes = [...taken.values()];
    return { requests: sizes.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
  };
}
