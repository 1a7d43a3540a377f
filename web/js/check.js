// @ts-check
/** The page that checks the connection: one verdict for each way, and what to do. */

import { startBar } from "./view/bar.js";
import { Report } from "./view/report.js";

await startBar();
new Report().run();
