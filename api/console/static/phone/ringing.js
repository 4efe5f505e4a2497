// What nobody must miss: a tone and a shake for an order, a roll-call or a neighbour's alarm that was not there before. Sound needs one
// touch of the page first; what waits is on the page in any case.
let sound = null;

addEventListener("pointerdown", () => {
  sound ??= typeof AudioContext === "function" ? new AudioContext() : null;
  sound?.resume().catch(() => {});
}, { passive: true });

function tone(hertz, seconds, at) {
  const [from, gain] = [sound.currentTime + at, sound.createGain()];
  const oscillator = sound.createOscillator();
  oscillator.frequency.value = hertz;
  gain.gain.setValueAtTime(0.3, from);
  gain.gain.exponentialRampToValueAtTime(0.001, from + seconds);
  oscillator.connect(gain).connect(sound.destination);
  oscillator.start(from);
  oscillator.stop(from + seconds);
}

/** `hertz`: one tone after the other; none: only a shake. */
export function ring(hertz) {
  if (navigator.userActivation?.hasBeenActive) navigator.vibrate?.([300, 150, 300]);
  if (sound?.state === "running") hertz.forEach((one, place) => tone(one, 0.35, place * 0.4));
}

/** Calls `news(fresh)` with those of `ids` that were not among those of the call before; the first call is no news. */
export function watcher(news) {
  let known = null;
  return (ids) => {
    const fresh = known === null ? [] : ids.filter((one) => !known.has(one));
    known = new Set(ids);
    if (fresh.length) news(fresh);
  };
}
