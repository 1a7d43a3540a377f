/** Gives a page somebody before its camera, or a reason why not; runs inside the page, from before its first script. */

/** @typedef {"there" | "asking" | "denied" | "missing" | "insecure"} Camera */

/** @param {{ face: number, camera: Camera, isPhone: boolean }} options  `face` is whose, of eight */
export function pretend({ face, camera, isPhone }) {
  if (camera === "insecure") return void Object.defineProperty(navigator, "mediaDevices", { value: undefined });
  // As phones do, and desktops mostly do not.
  if (isPhone) {
    delete MediaDevices.prototype.getDisplayMedia;
    navigator.share = async () => {};
  }
  const devices = navigator.mediaDevices;
  if (!devices) return;
  const refuse = { denied: "NotAllowedError", missing: "NotFoundError" }[camera];

  const getUserMedia = devices.getUserMedia.bind(devices);
  devices.getUserMedia = async ({ audio, video }) => {
    if (camera === "asking") return new Promise(() => {});
    if (refuse) throw new DOMException("as pretended", refuse);
    const heard = audio ? (await getUserMedia({ audio })).getTracks() : [];
    return new MediaStream([...heard, ...(video ? film(960, 540, portrait(face)) : [])]);
  };
  devices.getDisplayMedia &&= async () => new MediaStream(film(1280, 800, slide));

  const LABELS = {
    videoinput: ["FaceTime HD Camera", "Studio Display Camera (15bc:0000)"],
    audioinput: ["MacBook Pro Microphone", "AirPods Pro"],
    audiooutput: ["MacBook Pro Speakers", "AirPods Pro"],
  };
  const enumerateDevices = devices.enumerateDevices.bind(devices);
  devices.enumerateDevices = async () => {
    if (camera !== "there") return [];
    return (await enumerateDevices()).flatMap((device, i, all) => {
      const nth = all.slice(0, i).filter(({ kind }) => kind === device.kind).length;
      const label = LABELS[device.kind][nth];
      return label ? [Object.defineProperty(device, "label", { value: label })] : [];
    });
  };

  /** For people who are only on the stage; see crowd.js. */
  window.pretended = {
    camera: (face, isUpright) => film(...(isUpright ? [540, 960] : [960, 540]), portrait(face % 8))[0],
    screen: () => film(1280, 800, slide)[0],
  };

  /** @returns {MediaStreamTrack[]} */
  function film(width, height, draw) {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const context = canvas.getContext("2d");
    const paint = () => draw(context, Math.sin(performance.now() / 900));
    paint();
    setInterval(paint, 250);
    // Of so few frames, sharp ones.
    return canvas.captureStream(4).getTracks().map((track) => Object.assign(track, { contentHint: "detail" }));
  }

  /** @param {number} face @returns {(c: CanvasRenderingContext2D, sway: number) => void}  `sway` is from -1 to 1 */
  function portrait(face) {
    return (c, sway) => paintFace(face, c, sway);
  }

  /** @param {number} face @param {CanvasRenderingContext2D} c @param {number} sway */
  function paintFace(face, c, sway) {
    const { wall, light, skin, shade, hair, shirt, isLong } = [
      { wall: ["#e3cdae", "#c2a583"], light: "#fff0d2", skin: "#f3c7a1", shade: "#dfa981", hair: "#33211a", shirt: "#2c5a7e", isLong: true },
      { wall: ["#cfe0da", "#9fbcb2"], light: "#f2fffa", skin: "#fbd7b4", shade: "#e8b78f", hair: "#17171b", shirt: "#cf6d55", isLong: true },
      { wall: ["#3b4d5d", "#22303c"], light: "#d9b877", skin: "#a5683f", shade: "#8b5431", hair: "#2b1a12", shirt: "#e9bd47", isLong: false },
      { wall: ["#dcd5e4", "#b3a6c4"], light: "#ffffff", skin: "#eebb95", shade: "#d59c74", hair: "#8a5a34", shirt: "#4d6b50", isLong: false },
      { wall: ["#e8dcdc", "#c9a9a6"], light: "#fff4ea", skin: "#8d5a3b", shade: "#744629", hair: "#1c1310", shirt: "#6c4f8c", isLong: true },
      { wall: ["#d9e0ea", "#93a5bd"], light: "#ffffff", skin: "#f6cda9", shade: "#e0ae85", hair: "#b9b4ae", shirt: "#33475b", isLong: false },
      { wall: ["#4a4038", "#2b2520"], light: "#ffcf8a", skin: "#f2c19a", shade: "#dca27a", hair: "#a2401f", shirt: "#dfe3e6", isLong: true },
      { wall: ["#dfe6cf", "#a9b98d"], light: "#fffde8", skin: "#c98f62", shade: "#b0774c", hair: "#20201f", shirt: "#b04a3a", isLong: false },
    ][face];
    const fill = (style, shape) => {
      c.fillStyle = style;
      c.beginPath();
      shape();
      c.fill();
    };
    const box = (style, x, y, w, h, r = 0) => fill(style, () => c.roundRect(x, y, w, h, r));
    const oval = (style, x, y, rx, ry) => fill(style, () => c.ellipse(x, y, rx, ry, 0, 0, 7));
    const room = c.createLinearGradient(-160, 0, 960, 720);
    wall.forEach((colour, i) => room.addColorStop(i, colour));
    c.save();
    // In an upright picture the same person, seen from nearer.
    const isUpright = c.canvas.height > c.canvas.width;
    if (isUpright) c.setTransform(1.34, 0, 0, 1.34, 270 - 480 * 1.34, 0);
    else c.setTransform(0.75, 0, 0, 0.75, 120, 0);
    box(room, -160, 0, 1280, 720);
    const lamp = c.createRadialGradient(820 - face * 220, 60, 0, 820 - face * 220, 60, 520);
    lamp.addColorStop(0, `${light}b0`);
    lamp.addColorStop(1, `${light}00`);
    box(lamp, -160, 0, 1280, 720);
    // A window on one side, books on the other.
    const side = face % 2 ? 1 : 0;
    for (const [x, y] of [[0, 0], [1, 0], [0, 1], [1, 1]]) box("#ffffff55", (side ? 60 : 700) + x * 104, 70 + y * 150, 96, 142, 4);
    box("#0000002a", side ? 690 : 60, 330, 210, 10, 3);
    ["#9c5a50", "#5d7285", "#c89b4d", "#66785f", "#8b6f8f", "#b5806a"].forEach((colour, i) => {
      box(`${colour}d0`, (side ? 700 : 72) + i * 31, 330 - 96 - ((i * 37 + face * 20) % 34), 25, 96 + ((i * 37 + face * 20) % 34), 3);
    });
    c.translate(sway * 5, Math.abs(sway) * 4);
    if (isLong) box(hair, 345, 190, 270, 400, 130);
    else oval(hair, 480, 300, 138, 160);
    // Shoulders, neck, head.
    fill(shirt, () => {
      c.moveTo(170, 760);
      c.bezierCurveTo(190, 560, 330, 560, 480, 560);
      c.bezierCurveTo(630, 560, 770, 560, 790, 760);
    });
    box(shade, 432, 450, 96, 120, 20);
    oval(shade, 480, 566, 62, 34);
    oval(skin, 480, 345, 112, 142);
    for (const x of [-1, 1]) {
      oval("#e2716a40", 480 + x * 68, 388, 27, 18);
      oval("#23181a", 480 + x * 42, 338, 9, 11);
      oval("#ffffffd0", 483 + x * 42, 334, 3, 3);
      line(hair, 7, [480 + x * 62, 306], [480 + x * 42, 294], [480 + x * 22, 304]);
    }
    line(shade, 6, [484, 345], [496, 378], [474, 381]);
    line("#a8453f", 8, [446, 420], [480, 452 + sway * 3], [514, 420]);
    // The fringe.
    fill(hair, () => {
      c.moveTo(352, 330);
      c.bezierCurveTo(350, 160, 610, 160, 608, 330);
      c.bezierCurveTo(590, 250, face % 2 ? 480 : 560, 262, face % 2 ? 470 : 540, 240);
      c.bezierCurveTo(500, 280, 390, 262, 352, 330);
    });
    c.restore();

    function line(style, width, from, by, to) {
      Object.assign(c, { strokeStyle: style, lineWidth: width, lineCap: "round" });
      c.beginPath();
      c.moveTo(...from);
      c.quadraticCurveTo(...by, ...to);
      c.stroke();
    }
  }

  /** @param {CanvasRenderingContext2D} c */
  function slide(c) {
    const box = (style, x, y, w, h) => {
      c.fillStyle = style;
      c.fillRect(x, y, w, h);
    };
    box("#ffffff", 0, 0, 1280, 800);
    box("#0b6e69", 90, 96, 72, 8);
    c.fillStyle = "#1b1f23";
    c.font = "600 56px Inter, sans-serif";
    c.fillText("Three days in Busan", 90, 180);
    for (let i = 0; i < 5; i += 1) {
      box("#d7d3cb", 90, 250 + i * 56, [430, 380, 460, 300, 410][i], 14);
      box("#0b6e69", 680 + i * 104, 620 - [140, 220, 180, 300, 260][i], 64, [140, 220, 180, 300, 260][i]);
    }
    box("#d7d3cb", 660, 620, 540, 3);
  }
}
