// Starts the page, or says why it cannot be started.
import init from "./page.js";

init().then(
  () => document.getElementById("starting")?.remove(),
  (error) => {
    const words = document.getElementById("starting-words");
    words.textContent =
      "The page cannot start: " + error + ". It needs a browser with WebAssembly SIMD " +
      "(Chrome 91, Firefox 89, Safari 16.4 or newer). Reloading may help if the network failed.";
  },
);
