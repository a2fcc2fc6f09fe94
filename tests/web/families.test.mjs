// The three families: forms that draw themselves from what a model takes and makes, and tiny
// models of each from a calibration to a comparison. Forms are tried with a worker's answer
// that has two more models in it, so that they are those of real sizes.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { WORKER, assertAccessible, closeBrowser, jobEnded, open, settled } from "./harness.mjs";

after(closeBrowser);

const TEXT = {
  id: "pixart",
  family: "PixArt-Sigma",
  takes: "text",
  defaults: { steps: 50, guidance_scale: 4.5, n_calibration_inputs: 6, num_frames: null, fps: null },
  size: "1024x1024",
  size_multiple: 16,
  pixels_per_latent: 8,
  patch_size: 2,
  n_tokens: 4096,
  n_classes: 0,
  classes: [],
};
const VIDEO = {
  ...TEXT,
  id: "open-sora",
  family: "Open-Sora",
  makes: "videos",
  defaults: { steps: 200, guidance_scale: 7, n_calibration_inputs: 4, num_frames: 16, fps: 24 },
  size: "426x240",
  size_multiple: 1,
  n_tokens: 405,
};

/** A page whose worker serves three families; jobs are refused, and what was asked is kept. */
async function withFamilies(t, fragment, refusal) {
  const page = await open(t, { expected: [/400/] });
  const asked = [];
  await page.route("**/v1/capabilities", async (route) => {
    const answer = await route.fetch();
    const body = await answer.json();
    body.models.push({ ...body.models[0], ...TEXT }, { ...body.models[0], ...VIDEO });
    await route.fulfill({ response: answer, json: body });
  });
  await page.route("**/v1/jobs", async (route) => {
    if (route.request().method() !== "POST") return route.continue();
    asked.push(route.request().postDataJSON());
    const error = { type: "invalid_request_error", code: "invalid_request", problems: [], ...refusal };
    await route.fulfill({ status: 400, json: { error } });
  });
  // Another document, so that the page asks again.
  await page.goto("about:blank");
  await page.goto(`${WORKER}/${fragment}`);
  return { page, asked };
}

const value = (form, label) => form.getByLabel(label, { exact: true }).inputValue();

test("a calibration asks for prompts, and for frames of a video", async (t) => {
  const refusal = { param: "prompts", message: "prompts: the worker does not like them" };
  const { page, asked } = await withFamilies(t, "#calibrate", refusal);
  const form = page.getByRole("form", { name: "New calibration" });
  await form.getByRole("group", { name: "Classes" }).waitFor();
  await settled(async () => assert.equal(await form.getByLabel("Prompts").count(), 0));

  await form.getByLabel("Model", { exact: true }).selectOption("pixart");
  await form.getByLabel("Prompts").waitFor();
  await settled(async () => assert.equal(await form.getByRole("group", { name: "Classes" }).count(), 0));
  await settled(async () => assert.equal(await form.getByLabel("Frames", { exact: true }).count(), 0));
  await settled(async () => assert.equal(await value(form, "Guidance scale"), "4.5"));
  await assertAccessible(page, "the form of a text model");

  await form.getByLabel("Model", { exact: true }).selectOption("open-sora");
  await form.getByLabel("Frames", { exact: true }).fill("8");
  await settled(async () => assert.equal(await value(form, "Denoising steps"), "200"));
  await settled(async () => assert.equal(await value(form, "Guidance scale"), "7"));
  await form.getByLabel("Denoising steps").fill("12");
  await form.getByLabel("Prompts").fill("a fox, red\n\na tram at night");
  await form.getByLabel("Negative prompt").fill("blur");
  await form.getByText("2 prompts.").waitFor();
  await assertAccessible(page, "the form of a video model");

  // What is typed survives a reload.
  await page.reload();
  await settled(async () => assert.equal(await value(form, "Prompts"), "a fox, red\n\na tram at night"));
  await form.getByRole("button", { name: "Calibrate", exact: true }).click();
  await form.getByText("does not like them").first().waitFor();
  const [job] = asked;
  assert.deepEqual(job.prompts, ["a fox, red", "a tram at night"]);
  assert.deepEqual(
    [job.model, job.negative_prompt, job.num_frames, job.steps, job.guidance_scale, job.labels],
    ["open-sora", "blur", 8, 12, 7, []],
  );
  await settled(async () => assert.equal(await form.getByLabel("Prompts").getAttribute("aria-invalid"), "true"));
});

test("pictures are asked for by prompt, videos one at a time", async (t) => {
  const refusal = { param: "num_frames", message: "num_frames: the worker takes fewer" };
  const { page, asked } = await withFamilies(t, "#generate", refusal);
  const form = page.getByRole("form", { name: "Make pictures" });
  await form.getByLabel("Pictures only").check();
  await form.getByRole("combobox", { name: "Model" }).selectOption("open-sora");
  await form.getByRole("button", { name: "Make pictures" }).click();
  await form.getByText("say what to draw").waitFor();
  assert.equal(asked.length, 0);
  await form.getByLabel("Prompts").fill("a tram, at night");
  await form.getByLabel("Frames", { exact: false }).first().fill("8");
  await form.getByLabel("Size").fill("64x48");
  await assertAccessible(page, "the form for videos");
  await form.getByRole("button", { name: "Make pictures" }).click();
  await form.getByText("the worker takes fewer").waitFor();
  const [job] = asked;
  assert.deepEqual(
    [job.kind, job.prompts, job.n_images, job.num_frames, job.size, job.batch_size],
    ["generate", ["a tram, at night"], 1, 8, "64x48", 1],
  );
  await form.getByRole("combobox", { name: "Model" }).selectOption("avatars-dit");
  await settled(async () => assert.equal(await form.getByLabel("Prompts").count(), 0));
  await form.getByLabel("Classes").waitFor();
});

/** What a tiny model of each family is asked for. */
const RUNS = [
  { model: "avatars-dit", steps: "4" },
  { model: "pixart-tiny", steps: "4", prompts: "a red kite\nnoodle soup, with an egg", negative: "blurry" },
  { model: "open-sora-tiny", steps: "3", prompts: "waves break on a rocky shore", frames: "3", size: "64x48" },
];

for (const run of RUNS) {
  test(`a plan of ${run.model} is made and pictures with it are compared`, async (t) => {
    const page = await open(t, { fragment: "#calibrate" });
    let form = page.getByRole("form", { name: "New calibration" });
    await form.getByLabel("Model", { exact: true }).selectOption(run.model);
    await form.getByLabel("Denoising steps").fill(run.steps);
    await form.getByLabel("Threshold δ").fill("0.3");
    await form.getByLabel("Number of inputs").fill(run.prompts ? "2" : "1");
    if (run.prompts) await form.getByLabel("Prompts").fill(run.prompts);
    if (run.negative) await form.getByLabel("Negative prompt").fill(run.negative);
    if (run.frames) await form.getByLabel("Frames", { exact: true }).fill(run.frames);
    if (run.size) await form.getByLabel("Size").fill(run.size);
    await form.getByRole("button", { name: "Calibrate", exact: true }).click();
    await page.waitForURL(/job=[0-9a-f-]{36}/);
    const calibrated = await jobEnded(/job=([0-9a-f-]{36})/.exec(page.url())[1]);
    await page.getByRole("heading", { name: "The plan is ready" }).waitFor();
    const { plan } = calibrated.result;

    await page.goto(`${WORKER}/#plan?id=${plan}`);
    await page.locator(".workplace [role=gridcell]").first().waitFor();
    if (run.prompts) {
      await page.getByText(/^Calibrated with \d prompts?$/).click();
      await page.getByText(run.prompts.split("\n")[0]).first().waitFor();
    }
    await assertAccessible(page, `a plan of ${run.model}`);

    await page.goto(`${WORKER}/#generate?plan=${plan}`);
    await page.reload();
    form = page.getByRole("form", { name: "Make pictures" });
    // The plan says which model it is for.
    await page.waitForFunction(
      (model) => document.querySelector(".generate-form select")?.value === model,
      run.model,
    );
    if (run.prompts) await form.getByLabel("Prompts").fill(run.prompts.split("\n")[0]);
    if (run.negative) await form.getByLabel("Negative prompt").fill(run.negative);
    if (run.frames) await form.getByLabel("Frames", { exact: false }).first().fill(run.frames);
    if (run.size) await form.getByLabel("Size").fill(run.size);
    await form.getByLabel(run.frames ? "Videos" : "Pictures", { exact: false }).last().fill("1");
    await form.getByRole("button", { name: "Make raw and compressed" }).click();
    await page.waitForURL(/job=[0-9a-f-]{36}/);
    await jobEnded(/job=([0-9a-f-]{36})/.exec(page.url())[1]);
    const pair = page.getByRole("region", { name: "The pair", exact: true });
    await pair.getByText(/PSNR/).first().waitFor();
    await page.getByRole("region", { name: "What the plan saved" }).waitFor();
    await page.getByText("Where these pictures come from").click();
    const command = await page.getByText(/dfa compare .*--model/).first().textContent();
    if (run.prompts) assert.match(command, new RegExp(`--prompt '${run.prompts.split("\n")[0]}'`));
    await assertAccessible(page, `a comparison of ${run.model}`);
    if (run.frames) await assertMoves(page);
  });
}

/** Both videos are shown, move, and stop when they are told to. */
async function assertMoves(page) {
  const videos = page.getByRole("region", { name: "Videos" }).getByRole("img");
  await settled(async () => assert.equal(await videos.count(), 2));
  await page.waitForFunction(() => document.querySelector(".moving img")?.naturalWidth > 0);
  const [width, height] = await videos.first().evaluate((image) => [image.naturalWidth, image.naturalHeight]);
  assert.deepEqual([width, height], [64, 48], "one frame, not the strip");
  const shots = new Set();
  for (let n = 0; n < 40 && shots.size < 2; n += 1) {
    shots.add((await videos.first().screenshot()).toString("base64"));
  }
  assert.equal(shots.size, 2, "the video moves");
  await page.getByRole("button", { name: "Stop: show the frames" }).click();
  await page.waitForFunction(() => document.querySelector(".moving img")?.naturalWidth === 3 * 64);
}

test("who wants less motion is shown the frames", async (t) => {
  const page = await open(t, { reducedMotion: "reduce" });
  const made = await fetch(`${WORKER}/v1/jobs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      kind: "generate", model: "open-sora-tiny", prompts: ["waves"], steps: 2, num_frames: 3, size: "64x48",
    }),
  });
  const { id } = await made.json();
  await jobEnded(id);
  await page.goto(`${WORKER}/#generate?job=${id}`);
  await page.getByRole("button", { name: "Play" }).waitFor();
  const shown = page.getByRole("region", { name: "Videos" }).getByRole("img");
  await page.waitForFunction(() => document.querySelector(".moving img")?.naturalWidth === 3 * 64);
  await page.getByRole("button", { name: "Play" }).click();
  await page.waitForFunction(() => document.querySelector(".moving img")?.naturalWidth === 64);
  await settled(async () => assert.match(await shown.getAttribute("alt"), /^Video: Video 1/));
  await page.getByRole("link", { name: "Download the video" }).waitFor();
});
