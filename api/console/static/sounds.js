// What the desk hears: each kind has a pattern of its own, so that it is known before anybody looks.
// A pattern: [hertz, seconds, pause after it, loudness].
const PATTERNS = {
  panic: [[880, 0.25, 0.05], [660, 0.25, 0.05], [880, 0.25, 0.05], [660, 0.25, 0]],
  fire: [[520, 0.18, 0.02], [700, 0.18, 0.02], [940, 0.18, 0.02], [1250, 0.35, 0]],
  intrusion: [[740, 0.09, 0.06], [740, 0.09, 0.06], [740, 0.09, 0.06], [740, 0.3, 0]],
  medical: [[587, 0.35, 0.12], [587, 0.35, 0.12], [784, 0.5, 0]],
  help: [[440, 0.3, 0.2], [440, 0.3, 0]],
  unverified: [[880, 0.12, 0.2], [440, 0.3, 0]],
  duress: [[1800, 0.025, 0.12, 0.06], [1800, 0.025, 0, 0.06]], // a tick: nobody at the counter looks up
  other: [[660, 0.3, 0]],
  drill: [[330, 0.2, 0.1, 0.1], [392, 0.2, 0, 0.1]],
  climbed: [[1175, 0.12, 0.04], [1568, 0.12, 0.04], [1175, 0.12, 0.04], [1568, 0.12, 0.04], [1175, 0.12, 0.04], [1568, 0.4, 0]],
  lost: [[196, 0.5, 0.15], [165, 0.7, 0]],
  ready: [[660, 0.12, 0.04], [880, 0.15, 0]],
};
const LOUD = 0.25;

export class Sounds {
  #context = null;

  async begin() {
    this.#context = new AudioContext();
    await this.#context.resume();
  }

  get on() {
    return this.#context?.state === "running";
  }

  wake() {
    if (this.#context?.state === "suspended") this.#context.resume().catch(() => {});
  }

  play(name) {
    if (!this.#context) return;
    let at = this.#context.currentTime + 0.02;
    for (const [hertz, seconds, pause, loud = LOUD] of PATTERNS[name] ?? PATTERNS.other) {
      this.#tone(hertz, at, seconds, loud);
      at += seconds + pause;
    }
  }

  #tone(hertz, from, seconds, loud) {
    const gain = this.#context.createGain();
    const oscillator = this.#context.createOscillator();
    oscillator.frequency.value = hertz;
    gain.gain.setValueAtTime(0.0001, from);
    gain.gain.exponentialRampToValueAtTime(loud, from + Math.min(0.01, seconds / 3));
    gain.gain.setValueAtTime(loud, from + seconds * 0.7);
    gain.gain.exponentialRampToValueAtTime(0.0001, from + seconds);
    oscillator.connect(gain).connect(this.#context.destination);
    oscillator.start(from);
    oscillator.stop(from + seconds);
  }
}
