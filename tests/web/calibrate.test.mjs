// Calibrate and Jobs: live from the worker's events, across a reload, and cancelled.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { WORKER, assertAccessible, closeBrowser, jobEnded, open, settled } from "./harness.mjs";

after(closeBrowser);

/** Starts a calibration with the form and returns the job's id. */
async function start(page, { steps, threshold = "0.1", inputs = 1 }) {
  await page.getByRole("navigation", { name: "Pages", exact: true }).getByRole("link", { name: "Calibrate" }).click();
  const form = page.getByRole("form", { name: "New calibration" });
  await form.getByLabel("Denoising steps").fill(String(steps));
  await form.getByLabel("Number of inputs").fill(String(inputs));
  await form.getByLabel("Threshold δ").fill(threshold);
  await form.getByRole("button", { name: "Calibrate", exact: true }).click();
  await page.waitForURL(/job=[0-9a-f-]{36}/);
  return /job=([0-9a-f-]{36})/.exec(page.url())[1];
}

/** How many cells of the live grid are decided. */
const decided = (page) => page.evaluate(() =>
  [...document.querySelectorAll("main [role=gridcell]")].filter((cell) => cell.textContent.trim()).length);
const decidedReach = (page, wanted) => page.waitForFunction(
  (wanted) =>
    [...document.querySelectorAll("main [role=gridcell]")].filter((cell) => cell.textContent.trim()).length >= wanted,
  wanted,
);

test("the grid fills live, a reload in the middle goes on, and the plan opens", async (t) => {
  const page = await open(t);
  const id = await start(page, { steps: 8 });
  await decidedReach(page, 7);
  await assertAccessible(page, "a running calibration");
  const before = await decided(page);
  await page.reload();
  await decidedReach(page, before);
  const job = await jobEnded(id);
  await page.getByRole("heading", { name: "The plan is ready" }).waitFor();
  await settled(async () => assert.equal(await decided(page), 8 * 6));
  await assertAccessible(page, "a finished calibration");
  await page.getByRole("region", { name: "The plan is ready" }).getByRole("link").first().click();
  await page.waitForURL(new RegExp(`#plan.*id=${job.result.plan}`));
  await page.waitForFunction(() => document.querySelectorAll(".workplace [role=gridcell]").length === 48);
  const plan = await (await fetch(`${WORKER}/v1/plans/${job.result.plan}`)).json();
  const n_full = plan.strategies.flat().filter((name) => name === "full").length;
  const shown = page.locator(".workplace").getByRole("gridcell").getByText("F", { exact: true });
  await settled(async () => assert.equal(await shown.count(), n_full));
});

test("a calibration is cancelled from the page", async (t) => {
  const page = await open(t);
  const id = await start(page, { steps: 50, inputs: 4 });
  await page.getByRole("button", { name: "Cancel" }).click();
  await jobEnded(id, "cancelled");
  await page.getByText(/cancelled/i).first().waitFor();
});

test("what the worker would refuse is refused at its field", async (t) => {
  const page = await open(t, { fragment: "#calibrate" });
  const form = page.getByRole("form", { name: "New calibration" });
  await form.getByLabel("Denoising steps").fill("8");
  await form.getByLabel("Threshold δ").fill("lots");
  await form.getByRole("button", { name: "Calibrate", exact: true }).click();
  const field = form.getByLabel("Threshold δ");
  await page.waitForFunction((field) => field.getAttribute("aria-invalid") === "true" || !field.checkValidity(), await field.elementHandle());
  assert.doesNotMatch(page.url(), /job=/);
});

test("an estimate is calibrated and held against the measurement", async (t) => {
  const page = await open(t);
  const id = await start(page, { steps: 5, threshold: "0.05" });
  const { result } = await jobEnded(id);
  await page.goto(`${WORKER}/#plan?id=${result.plan}&delta=0.3`);
  await page.getByRole("button", { name: "Calibrate at this δ" }).click();
  await page.getByRole("heading", { name: /Estimate \(A\) against measurement/ }).waitFor({ timeout: 120_000 });
});

test("the queue shows positions, cancels, repeats and tells how to reproduce", async (t) => {
  const page = await open(t, { fragment: "#jobs" });
  const body = (seed) => ({ kind: "calibrate", model: "avatars-dit", steps: 50, n_images: 4, seed });
  const submit = async (seed) => {
    const response = await fetch(`${WORKER}/v1/jobs`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body(seed)),
    });
    assert.equal(response.status, 202);
    return (await response.json()).id;
  };
  const ids = [await submit(41), await submit(42), await submit(43)];
  const row = (id) => page.locator(`[data-job="${id}"]`);
  await row(ids[2]).waitFor();
  await row(ids[1]).getByText(/queued/i).first().waitFor();
  await assertAccessible(page, "the queue");
  for (const id of ids.toReversed()) {
    await row(id).getByRole("button", { name: /^Cancel/ }).click();
    await jobEnded(id, "cancelled");
  }
  await row(ids[1]).getByText(/cancelled/i).first().waitFor();
  await row(ids[1]).getByText(/reproduce/i).first().click();
  await row(ids[1]).getByText(/dfa calibrate .*--seed 42/).first().waitFor();
});
