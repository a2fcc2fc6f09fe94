// Generate: the same seed raw and compressed, looked at every way, on the GPU and without.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { WORKER, assertAccessible, closeBrowser, jobEnded, open, serveFolder, settled } from "./harness.mjs";

after(closeBrowser);

const MODES = ["Side by side", "Wipe", "Blink", "Difference", "SSIM map"];
const mode = (page, name) =>
  page.getByRole("group", { name: "How the pictures are shown" }).getByRole("button", { name });
const engine = (page) => page.locator(".engine-line");

/** What the page says of the pair, as text, once it has measured it. */
async function numbers(page) {
  const pair = page.getByRole("region", { name: "The pair", exact: true });
  await pair.getByText(/PSNR/).first().waitFor();
  await page.waitForFunction(() => /\d+\.\d+\s*dB/.test(document.querySelector(".image-pair")?.textContent));
  return pair.textContent();
}

test("the sample's pairs are shown in every mode, with the keyboard too", async (t) => {
  const page = await open(t, { fragment: "#generate" });
  await numbers(page);
  for (const [idx, name] of MODES.entries()) {
    await mode(page, name).click();
    await settled(async () => assert.equal(await mode(page, name).getAttribute("aria-pressed"), "true", name));
    await assertAccessible(page, name);
    const other = (idx + 2) % MODES.length;
    await page.keyboard.press(String(other + 1));
    await page.waitForFunction(
      (name) => [...document.querySelectorAll("[aria-pressed=true]")].some((it) => it.textContent === name),
      MODES[other],
    );
  }
  const scale = page.getByRole("status", { name: "Scale" });
  const before = await scale.textContent();
  await page.keyboard.press("+");
  await page.waitForFunction((before) => document.querySelector("output.zoom").textContent !== before, before);
  await page.keyboard.press("0");
  await page.waitForFunction((before) => document.querySelector("output.zoom").textContent === before, before);
});

test("the GPU and the CPU say the same numbers of a pair", async (t) => {
  const page = await open(t, { fragment: "#generate" });
  await page.waitForFunction(() => ["webgpu", "cpu"].includes(document.querySelector(".engine-line")?.dataset.engine));
  const first = await engine(page).getAttribute("data-engine");
  if (first === "cpu") {
    t.diagnostic(`no GPU here: ${await engine(page).textContent()}`);
    return;
  }
  const onGpu = await numbers(page);
  await page.getByRole("button", { name: "Use the CPU" }).click();
  await page.waitForFunction(() => document.querySelector(".engine-line").dataset.engine === "cpu");
  const onCpu = await numbers(page);
  const values = (text) => (text.match(/\d+\.\d+/g) ?? []).map(Number);
  const pair = (text) => values(text.slice(text.indexOf("PSNR")));
  assert.ok(pair(onGpu).length >= 3, onGpu);
  assert.deepEqual(pair(onGpu).slice(0, 3), pair(onCpu).slice(0, 3));
});

test("raw and compressed are made, shown and survive a reload", async (t) => {
  const page = await open(t);
  const made = await fetch(`${WORKER}/v1/jobs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ kind: "calibrate", model: "avatars-dit", steps: 6, n_images: 1, threshold: 0.2 }),
  });
  const { result } = await jobEnded((await made.json()).id);
  await page.goto(`${WORKER}/#generate?plan=${result.plan}`);
  const form = page.getByRole("form", { name: "Make pictures" });
  await form.getByLabel("Pictures", { exact: false }).last().fill("2");
  await form.getByRole("button", { name: "Make raw and compressed" }).click();
  await page.waitForURL(/job=[0-9a-f-]{36}/);
  const id = /job=([0-9a-f-]{36})/.exec(page.url())[1];
  await page.reload();
  const job = await jobEnded(id);
  const said = await numbers(page);
  const { images } = job.result.report;
  assert.equal(images.length, 2);
  const worst = images.reduce((a, b) => ((a.psnr_db ?? 99) < (b.psnr_db ?? 99) ? a : b));
  // The page measures 8-bit pictures, the worker what it had before rounding them.
  const shown = Number(/(\d+\.\d+)\s*dB/.exec(said.slice(said.indexOf("PSNR")))[1]);
  const near = images.some((image) => Math.abs(image.psnr_db - shown) < 0.5);
  assert.ok(near, `${shown} dB, reported: ${images.map((image) => image.psnr_db)}, worst ${worst.index}`);
  await page.getByRole("region", { name: "What the plan saved" }).waitFor();
  await assertAccessible(page, "a finished comparison");
});

test("without a worker two files are compared", async (t) => {
  const url = await serveFolder(t, process.env.DFA_STATIC);
  const page = await open(t, { url, fragment: "#generate" });
  const picture = async (name) => ({
    name,
    mimeType: "image/png",
    buffer: Buffer.from(await (await fetch(`${url}/sample/${name}`)).arrayBuffer()),
  });
  await page.getByLabel("Raw picture").setInputFiles(await picture("raw-003-miniavs.png"));
  await page.getByLabel("Compressed picture").setInputFiles(await picture("compressed-003-miniavs.png"));
  await page.getByRole("button", { name: "Close the files" }).waitFor();
  const report = await (await fetch(`${url}/sample/report.json`)).json();
  await page.waitForFunction(
    (wanted) => {
      const text = document.querySelector(".image-pair")?.textContent ?? "";
      const found = /(\d+\.\d+)\s*dB/.exec(text.slice(text.indexOf("PSNR")));
      return found && Math.abs(Number(found[1]) - wanted) < 0.1;
    },
    report.images[3].psnr_db,
  );
});
