// @ts-check
/** The page for addresses that lead nowhere. */

import { startBar } from "./view/bar.js";

await startBar();
