// @ts-check
/** Several sounds as one track. */

/** @type {import("../wire/screen.js").Mix} */
export function mix(tracks) {
  const context = new AudioContext();
  const out = context.createMediaStreamDestination();
  for (const track of tracks) context.createMediaStreamSource(new MediaStream([track])).connect(out);
  // The press that shares a screen lets sound begin.
  context.resume().catch(() => {});
  const [track] = out.stream.getAudioTracks();
  const close = () => {
    track.stop();
    context.close().catch(() => {});
  };
  return { track, close };
}
