import assert from "node:assert/strict";
import { test } from "node:test";

import { isInApp, wayOut } from "../js/wire/inapp.js";

const ANDROID = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko)";
const IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)";
const KAKAO = `${IPHONE} Mobile/15E148 Safari/604.1 KAKAOTALK/11.3.1 (INAPP)`;
const LINE = `${IPHONE} Mobile/15E148 Safari Line/14.1.0`;
const INSTAGRAM = `${ANDROID} Version/4.0 Chrome/131.0.0.0 Mobile Safari/537.36 Instagram 361.0.0.46.88 Android (34/14; 420dpi)`;

const INSIDE = [
  KAKAO,
  `${ANDROID} Version/4.0 Chrome/131.0.0.0 Mobile Safari/537.36 KAKAOTALK/11.3.1 (INAPP)`,
  INSTAGRAM,
  `${IPHONE} Mobile/15E148 Instagram 309.1.1.28.108 (iPhone14,5; iOS 18_0; ko_KR)`,
  `${IPHONE} Mobile/15E148 [FBAN/FBIOS;FBAV/443.0.0.23.229;FBBV/543893271]`,
  `${ANDROID} Version/4.0 Chrome/131.0.0.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/443.0.0.34.104;]`,
  LINE,
  `${ANDROID} Version/4.0 Chrome/116.0.0.0 XWEB/1160065 Mobile Safari/537.36 MMWEBSDK/20231202 MicroMessenger/8.0.47`,
  `${IPHONE} Mobile/15E148 Safari/604.1 NAVER(inapp; search; 2000; 12.8.60; 15PRO)`,
  `${ANDROID.replace("K)", "SM-S918N Build/UP1A; wv)")} Version/4.0 Chrome/131.0.0.0 Mobile Safari/537.36`,
  `${IPHONE} Mobile/15E148`,
];

const OUTSIDE = [
  `${IPHONE} Version/18.0 Mobile/15E148 Safari/604.1`,
  `${IPHONE} CriOS/131.0.6778.73 Mobile/15E148 Safari/604.1`,
  `${IPHONE} FxiOS/132.0 Mobile/15E148 Safari/605.1.15`,
  `${ANDROID} Chrome/131.0.0.0 Mobile Safari/537.36`,
  `${ANDROID} SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36`,
  "Mozilla/5.0 (Android 14; Mobile; rv:132.0) Gecko/132.0 Firefox/132.0",
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.4 Safari/605.1.15",
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0",
];

test("browsers inside of apps are recognized, and others are not taken for one", () => {
  for (const userAgent of INSIDE) assert.ok(isInApp(userAgent), userAgent);
  for (const userAgent of OUTSIDE) assert.ok(!isInApp(userAgent), userAgent);
});

test("the way out of an app keeps the room and its key", () => {
  const address = "https://call.example.org/r/방 1?lang=ko#k=abc";
  const written = new URL(address).href;
  assert.equal(new URL(wayOut(KAKAO, address)).searchParams.get("url"), address);
  assert.equal(wayOut(LINE, written), written.replace("#", "&openExternalBrowser=1#"));
  const [before, after] = wayOut(INSTAGRAM, address).split("#Intent;");
  assert.equal(before, written.replace("https:", "intent:"));
  assert.match(after, /^scheme=https;.*;end$/);
});

test("where no link leads out, as on an iPhone, there is none", () => {
  assert.equal(wayOut(`${IPHONE} Mobile/15E148`, "https://call.example.org/r/a"), "");
});
