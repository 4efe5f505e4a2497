// What a checkpoint says of itself: its tag by NFC, its code by the camera or from a photo. What the phone cannot do is
// not offered: NFC and the camera need HTTPS, and codes are read by what the browser itself brings (BarcodeDetector).

const CODE = /P[TR]1:[a-z0-9-]{1,32}:[0-9]{1,4}(?::[0-9]{1,10})?:[0-9a-f]{16}/;

/** The code in what was scanned or typed, which may be the whole address of a checkpoint; null: there is none. */
export function codeIn(text) {
  let plain = String(text ?? "").trim();
  try { plain = decodeURIComponent(plain); } catch { /* it is no address */ }
  return CODE.exec(plain)?.[0] ?? null;
}

/** Of which checkpoint a code claims to be. */
export const pointOf = (code) => code.split(":")[1];

export const hasNfc = () => "NDEFReader" in globalThis;
export const hasReader = () => "BarcodeDetector" in globalThis;
export const hasCamera = () => hasReader() && Boolean(navigator.mediaDevices?.getUserMedia);

/** Whether codes can be read in pictures at all: some browsers have the class and no formats. */
export async function readsCodes() {
  try {
    return hasReader() && (await BarcodeDetector.getSupportedFormats()).includes("qr_code");
  } catch {
    return false;
  }
}

/** Listens for tags until `signal` aborts. `found(tag)`: hexadecimal. Throws when the phone does not want to. */
export async function listen({ found, failed, signal }) {
  const reader = new NDEFReader();
  reader.addEventListener("reading", ({ serialNumber }) => {
    const tag = (serialNumber ?? "").replaceAll(":", "").toUpperCase();
    if (tag) found(tag);
    else failed();
  }, { signal });
  reader.addEventListener("readingerror", () => failed(), { signal });
  await reader.scan({ signal });
}

/** Shows the camera in `video` and looks for a code until one is found or `signal` aborts. Throws without a camera. */
export async function watch({ video, found, signal }) {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" }, audio: false });
  const stop = () => stream.getTracks().forEach((track) => track.stop());
  if (signal.aborted) return stop();
  signal.addEventListener("abort", stop, { once: true });
  video.srcObject = stream;
  await video.play();
  const detector = new BarcodeDetector({ formats: ["qr_code"] });
  while (!signal.aborted) {
    const seen = await detector.detect(video).catch(() => []);
    if (signal.aborted) return undefined;
    if (seen.length) {
      stop();
      return found(seen[0].rawValue);
    }
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  return undefined;
}

/** The text of the code in a picture; null: none was found. */
export async function inPicture(file) {
  const picture = await createImageBitmap(file);
  try {
    const seen = await new BarcodeDetector({ formats: ["qr_code"] }).detect(picture);
    return seen[0]?.rawValue ?? null;
  } finally {
    picture.close();
  }
}
