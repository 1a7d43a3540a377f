// @ts-check
/** The order in which codecs are offered; none is left out, so that every other browser finds one. */

/** @typedef {{ mimeType: string, sdpFmtpLine?: string, clockRate: number, channels?: number }} Codec */

/** Each packet of sound carries a copy of the one before (RFC 2198): a single loss is not heard. */
const AUDIO = ["audio/red", "audio/opus"];
/**
 * Without hardware. A call of eight has seven encoders and seven decoders: VP8 takes the least processor for small pictures, and
 * every browser has it.
 */
const VIDEO = ["video/vp8", "video/h264", "video/vp9", "video/av1"];
/** Not for pictures, but with them. */
const HELPERS = ["video/rtx", "video/red", "video/ulpfec", "video/flexfec-03"];
/** What a phone or a laptop is asked for: the size that one sends in a call of two. */
const ASKED = { width: 1280, height: 720, bitrate: 1_800_000, framerate: 30 };

/**
 * Codecs that the machine's own hardware encodes come first: they hardly touch the battery.
 * @param {Codec[]} codecs @param {"audio" | "video"} kind @param {Set<string>} efficient  their MIME types, in lower case
 * @returns {Codec[]}
 */
export function inOrder(codecs, kind, efficient) {
  const order = kind === "audio" ? AUDIO : [...VIDEO.filter((type) => efficient.has(type)), ...VIDEO.filter((type) => !efficient.has(type))];
  const rank = (/** @type {Codec} */ { mimeType }) => {
    const at = order.indexOf(mimeType.toLowerCase());
    return at >= 0 ? at : order.length + Number(HELPERS.includes(mimeType.toLowerCase()));
  };
  return codecs.map((codec, at) => ({ codec, at })).sort((a, b) => rank(a.codec) - rank(b.codec) || a.at - b.at).map(({ codec }) => codec);
}

/**
 * The video codecs that hardware encodes.
 * @param {Pick<MediaCapabilities, "encodingInfo"> | undefined} capabilities @param {Codec[]} codecs
 * @returns {Promise<Set<string>>}
 */
export async function findEfficient(capabilities, codecs) {
  const types = [...new Set(codecs.map(({ mimeType }) => mimeType.toLowerCase()))].filter((type) => VIDEO.includes(type));
  const answers = await Promise.all(types.map(async (contentType) => {
    const info = await capabilities?.encodingInfo({ type: "webrtc", video: { contentType, ...ASKED } }).catch(() => undefined);
    return info?.supported && info.powerEfficient;
  }));
  return new Set(types.filter((_, i) => answers[i]));
}

/**
 * What this browser receives, in the order in which it is offered.
 * @param {typeof globalThis.RTCRtpReceiver} RTCRtpReceiver @param {Pick<MediaCapabilities, "encodingInfo"> | undefined} capabilities
 * @returns {Promise<import("./peer.js").Preferences>}
 */
export async function preferences(RTCRtpReceiver, capabilities) {
  const [audio, video] = ["audio", "video"].map((kind) => RTCRtpReceiver.getCapabilities?.(kind)?.codecs ?? []);
  const efficient = await findEfficient(capabilities, video);
  return { audio: inOrder(audio, "audio", efficient), video: inOrder(video, "video", efficient) };
}
