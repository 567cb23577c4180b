export * from "./endcap.js";
