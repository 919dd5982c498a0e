import { defineConfig, mergeConfig } from "vitest/config";
import base from "../vitest.config.ts";

/**
 * `npm run coverage`: every branch of authentication and of the way of an upgrade is tested, or this
 * fails. The tests are those of `npm test`.
 */
export default mergeConfig(
  base,
  defineConfig({
    test: {
      coverage: {
        enabled: true,
        provider: "v8",
        reporter: ["text"],
        include: [
          "src/auth/**",
          "src/limits/{client-address,seats}.ts",
          "src/upgrade/{attach,authentication,handshake,route,route-path,router,upgrade}.ts",
          "src/server/admission.ts",
        ],
        thresholds: { branches: 100, functions: 100, lines: 100, statements: 100 },
      },
    },
  }),
);
