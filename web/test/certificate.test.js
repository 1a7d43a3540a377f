import assert from "node:assert/strict";
import { test } from "node:test";

import { makeCertificates } from "../js/wire/certificate.js";

test("a page has one certificate for all its connections, or leaves it to the browser", async () => {
  const asked = [];
  const able = { generateCertificate: async (kind) => (asked.push(kind), "certificate") };
  assert.deepEqual(await makeCertificates(able), ["certificate"]);
  assert.deepEqual(asked, [{ name: "ECDSA", namedCurve: "P-256" }]);
  assert.equal(await makeCertificates({}), undefined);
  assert.equal(await makeCertificates({ generateCertificate: () => Promise.reject(new Error()) }), undefined);
});
