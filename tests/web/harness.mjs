// What the browser tests share: one Chromium, pages that fail a test when they complain, an
// accessibility check, and a plain file server for the page without a worker.
//
// The environment names what is tested: DFA_URL is a worker that serves the page,
// DFA_STATIC the folder of `cargo xtask web --static`, DFA_FIXTURES the folder
// tests/fixtures, CHROMIUM the browser.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createServer } from "node:http";
import path from "node:path";
import { chromium } from "playwright-core";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const WORKER = process.env.DFA_URL;

// A software adapter, so that the shaders run where there is no GPU.
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
];

let browser;

async function launched() {
  browser ??= await chromium.launch({ executablePath: process.env.CHROMIUM, args: FLAGS });
  return browser;
}

export async function closeBrowser() {
  await browser?.close();
}

/** A page at `url` + `fragment`; the test fails at its end if the page complained. */
export async function open(t, { url = WORKER, fragment = "", expected = [], ...options } = {}) {
  const context = await (await launched()).newContext({
    viewport: { width: 1400, height: 900 },
    acceptDownloads: true,
    ...options,
  });
  const page = await context.newPage();
  const complaints = [];
  const note = (text) => {
    if (!expected.some((pattern) => pattern.test(text))) complaints.push(text);
  };
  page.on("pageerror", (error) => note(`uncaught: ${error}`));
  page.on("console", (message) => {
    if (message.type() === "error") note(message.text());
  });
  t.after(async () => {
    await context.close();
    assert.deepEqual(complaints, [], "the page complained");
  });
  await page.goto(url + "/" + fragment);
  await page.getByRole("navigation", { name: "Pages", exact: true }).waitFor();
  return page;
}

/** Asks `claim` again until it holds: the page follows what was done to it in its own time.
 *  What it last said is the error of a claim that does not come true. */
export async function settled(claim) {
  const end = Date.now() + 30_000;
  for (;;) {
    try {
      return await claim();
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((ready) => setTimeout(ready, 50));
    }
  }
}

/** No serious violation of the accessibility rules on what is shown now. */
export async function assertAccessible(page, where) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document));
  const serious = violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html).join(" | ")}`);
  assert.deepEqual(serious, [], `accessibility of ${where}`);
}

const TYPES = {
  ".css": "text/css",
  ".html": "text/html",
  ".js": "text/javascript",
  ".json": "application/json",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

/** Serves a folder as any static host would, under a path, and returns its URL. */
export async function serveFolder(t, folder) {
  const server = createServer(async (request, response) => {
    const name = decodeURIComponent(new URL(request.url, "http://x").pathname).replace(/^\/site\//, "");
    const file = path.join(folder, path.normalize("/" + (name || "index.html")));
    try {
      const bytes = await readFile(file);
      response.writeHead(200, { "content-type": TYPES[path.extname(file)] ?? "application/octet-stream" });
      response.end(bytes);
    } catch {
      response.writeHead(404).end("not found");
    }
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  t.after(() => server.close());
  return `http://127.0.0.1:${server.address().port}/site`;
}

/** A job over HTTP, ended. */
export async function jobEnded(id, wanted = "succeeded") {
  for (;;) {
    const response = await fetch(`${WORKER}/v1/jobs/${id}?wait=30`);
    const job = await response.json();
    if (["succeeded", "failed", "cancelled"].includes(job.state)) {
      assert.equal(job.state, wanted, JSON.stringify(job.error));
      return job;
    }
  }
}
