import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const OUT = "../dynamiccluster/api/static";
const MOST = 200_000; // bytes under gzip, all files together

/** The service sends these as they are, so it need not pack at run time; a build that is too large fails. */
function packed(): Plugin {
  const walk = (folder: string): string[] =>
    readdirSync(folder).flatMap((name) => {
      const path = join(folder, name);
      return statSync(path).isDirectory() ? walk(path) : [path];
    });
  return {
    name: "packed",
    apply: "build",
    closeBundle() {
      let sum = 0;
      for (const path of walk(OUT).filter((one) => !one.endsWith(".gz"))) {
        const gz = gzipSync(readFileSync(path), { level: 9 });
        sum += gz.length;
        writeFileSync(`${path}.gz`, gz);
      }
      console.log(`under gzip: ${(sum / 1000).toFixed(1)} kB of at most ${MOST / 1000} kB`);
      if (sum > MOST) throw new Error(`the dashboard has ${sum} bytes under gzip, more than ${MOST}`);
    },
  };
}

// The service serves the result under /dashboard: dynamiccluster/api/handlers/dashboard.py.
export default defineConfig({
  base: "/dashboard/",
  plugins: [packed()],
  build: {
    outDir: OUT,
    emptyOutDir: true,
    target: "es2022",
    // nothing inline: the Content-Security-Policy allows none
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": "http://127.0.0.1:8001" } },
  test: { include: ["test/**/*.test.ts"] },
});
