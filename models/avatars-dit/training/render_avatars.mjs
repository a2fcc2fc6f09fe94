// Renders avatars: for every seed and each of the 16 styles one image, 64x64 RGB on white.
// usage: node render_avatars.mjs train|test FROM TO PREFIX
// Seeds are "train-FROM" ... "train-(TO-1)", or "test-..." for held-out images. The same seed gives
// the same bytes. Writes PREFIX.bin (uint8 RGB, row-major) and PREFIX.lab (class ids).
import * as collection from '@dicebear/collection';
import { createAvatar } from '@dicebear/core';
import { Resvg } from '@resvg/resvg-js';
import fs from 'node:fs';

const [, , split, from, to, prefix] = process.argv;
if (!['train', 'test'].includes(split) || !prefix) {
  console.error('usage: node render_avatars.mjs train|test FROM TO PREFIX');
  process.exit(2);
}
const SIZE = 64;
// The order is the class id; model_index.json lists the same 16 names.
const STYLES = ['adventurer', 'bigEars', 'bigSmile', 'croodles', 'dylan', 'funEmoji', 'identicon', 'lorelei',
  'micah', 'miniavs', 'openPeeps', 'personas', 'pixelArt', 'shapes', 'thumbs', 'toonHead'];

const pixels = fs.openSync(`${prefix}.bin`, 'w');
const labels = fs.openSync(`${prefix}.lab`, 'w');
for (let i = Number(from); i < Number(to); i++) {
  STYLES.forEach((style, label) => {
    const svg = createAvatar(collection[style], { seed: `${split}-${i}` }).toString();
    const rgba = new Resvg(svg, { fitTo: { mode: 'width', value: SIZE }, background: '#ffffff' }).render().pixels;
    const rgb = Buffer.alloc(SIZE * SIZE * 3);
    for (let p = 0; p < SIZE * SIZE; p++) rgba.copy(rgb, 3 * p, 4 * p, 4 * p + 3);
    fs.writeSync(pixels, rgb);
    fs.writeSync(labels, Buffer.from([label]));
  });
}
