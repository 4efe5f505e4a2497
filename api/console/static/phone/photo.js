// A photo of a hazard, made small enough before it is sent: drawn anew, so nothing but the picture is left of it.

export const MOST_BYTES = 8 * 1024 * 1024;
const LONGEST = 1600;
const STEPS = [[LONGEST, 0.82], [LONGEST, 0.65], [1024, 0.6]];

export class NotAPhoto extends Error {}
export class TooLarge extends Error {
  constructor(bytes) {
    super("too large");
    this.bytes = bytes;
  }
}

async function drawn(picture, longest, quality) {
  const scale = Math.min(1, longest / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(picture.width * scale));
  canvas.height = Math.max(1, Math.round(picture.height * scale));
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", quality));
}

/** A JPEG of at most 8 MiB. Throws NotAPhoto or TooLarge. */
export async function small(file) {
  let picture;
  try {
    picture = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    throw new NotAPhoto(file.name);
  }
  try {
    let made = null;
    for (const [longest, quality] of STEPS) {
      made = await drawn(picture, longest, quality);
      if (made && made.size <= MOST_BYTES) return made;
    }
    throw new TooLarge(made?.size ?? file.size);
  } finally {
    picture.close();
  }
}

/** 3.4 MB, 120 kB */
export function size(bytes) {
  return bytes >= 1_000_000 ? `${(bytes / 1_000_000).toFixed(1)} MB` : `${Math.max(1, Math.round(bytes / 1000))} kB`;
}
