/* The same tracker for `import`: named exports, in node, in bundlers and in a browser as it is. */
import "./endcap.js"; // says `endcap` to the whole page, whichever way it is loaded

const { endcap } = typeof window === "undefined" ? globalThis : window;

export const { init, track, purchase, identify, consent, page, watch, flush, recommend } = endcap;
