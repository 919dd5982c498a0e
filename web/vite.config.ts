import { defineConfig } from "vite";

export default defineConfig({
  // Works wherever the server mounts the pages.
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../dist/web",
    emptyOutDir: true,
    target: "es2022",
    // The pages are served with `default-src 'self'`, which refuses data: URLs.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: { input: { chat: "web/index.html", dashboard: "web/dashboard.html" } },
  },
});
