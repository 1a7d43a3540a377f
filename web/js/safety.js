// @ts-check
/** The page that says what a safety number proves. */

import { startBar } from "./view/bar.js";

await startBar();
