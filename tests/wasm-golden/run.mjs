// Prints the digest that the WebAssembly module computes: node run.mjs MODULE.wasm
//
// The module imports nothing. It exports where the text lies in its memory, and its length.
import { readFileSync } from "node:fs";

const [path] = process.argv.slice(2);
if (path === undefined) {
  console.error("usage: node run.mjs MODULE.wasm");
  process.exit(2);
}
const { instance } = await WebAssembly.instantiate(readFileSync(path), {});
const { memory, digest_start, digest_len } = instance.exports;
// The start first: computing may grow the memory, which moves its buffer.
const start = digest_start() >>> 0;
const bytes = new Uint8Array(memory.buffer, start, digest_len());
process.stdout.write(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
