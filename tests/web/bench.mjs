// How fast the page is: from a move of δ to the repainted grid, and the pixel work of two
// large pictures, on WebGPU and on the CPU. Prints a table; nothing here can fail a build.
//
//   DFA_URL=… CHROMIUM=… node bench.mjs

import { WORKER, closeBrowser, open } from "./harness.mjs";

const CANDIDATES = ["ast", "wa_rs+asc", "wa_rs", "asc"];

/** Numbers in [0, 1) from a seed (mulberry32). */
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A plan of any size with every loss recorded, in the sample's frame. */
function planOf(sample, n_blocks, n_steps) {
  const next = random(n_blocks * 1000 + n_steps);
  const threshold = 0.1;
  const rows = Array.from({ length: n_steps }, (_, step) =>
    Array.from({ length: n_blocks }, (_, block) => {
      if (step === 0) return { losses: [], choice: "full" };
      const budget = (threshold * (block + 1)) / n_blocks;
      const losses = CANDIDATES.map((candidate) => ({
        candidate,
        loss: Math.fround(next() * 0.4 * ((block + 1) / n_blocks)),
      }));
      const chosen = losses.find(({ loss }) => loss < budget);
      return { losses, choice: chosen?.candidate ?? "full" };
    }),
  );
  return {
    ...sample,
    strategies: rows.map((row) => row.map(({ choice }) => choice)),
    search: {
      ...sample.search,
      threshold,
      candidates: CANDIDATES,
      mode: "record-all",
      losses: rows.map((row) => row.map(({ losses }) => losses)),
    },
    fingerprint: {
      ...sample.fingerprint,
      timesteps: Array.from({ length: n_steps }, (_, step) => 999 - (step * 998) / n_steps),
    },
  };
}

/** Seconds that the page's thread spent on script, style and layout, by Chromium's count. */
async function work(client) {
  const { metrics } = await client.send("Performance.getMetrics");
  const names = ["ScriptDuration", "RecalcStyleDuration", "LayoutDuration"];
  return metrics.filter(({ name }) => names.includes(name)).reduce((sum, { value }) => sum + value, 0);
}

/** How often the page moves δ when it measures. */
const N_MOVES = 40;

const context = { after() {} };
const results = [];

for (const [n_blocks, n_steps] of [[28, 50], [56, 250]]) {
  const sample = await (await fetch(`${WORKER}/sample/plan.json`)).json();
  const response = await fetch(`${WORKER}/v1/plans`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(planOf(sample, n_blocks, n_steps)),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(JSON.stringify(answer));
  for (const moves of ["slide", "far"]) {
    const page = await open(context, { fragment: `#plan?id=${answer.plan.id}&bench=${moves}` });
    const client = await page.context().newCDPSession(page);
    await client.send("Performance.enable");
    await page.waitForFunction(() => document.querySelector(".workplace [role=gridcell]"));
    const before = await work(client);
    await page.waitForSelector("body[data-bench]", { timeout: 180_000 });
    const worked = (await work(client)) - before;
    const { bench, benchMax } = await page.evaluate(() => ({ ...document.body.dataset }));
    results.push({
      what: `${n_blocks} blocks × ${n_steps} steps, ${moves}`,
      wall_ms: Number(bench),
      longest_ms: Number(benchMax),
      page_thread_ms: Number(((worked * 1000) / N_MOVES).toFixed(1)),
    });
    await page.context().close();
  }
}

const page = await open(context, { fragment: "#generate?bench=5" });
await page.locator("#pixel-bench-run").click();
const box = page.locator("#pixel-bench");
await page.waitForFunction(() => document.querySelector("#pixel-bench").dataset.result, null, { timeout: 500_000 });
console.table(results);
console.log("2048 × 2048, difference and SSIM map:", await box.getAttribute("data-result"));
await closeBrowser();
