import { defineConfig } from '@playwright/test';
import { browserOptions } from './e2e/browser.js';

const port = 5140;
/** A server that runs already, or else one that is started here. */
const running = process.env.WHATSIT_URL;

export default defineConfig({
  testDir: 'e2e',
  // Timings are measured on the page: one browser at a time.
  workers: 1,
  retries: 0,
  // Long enough for a machine whose cores others use, too.
  timeout: 120_000,
  expect: { timeout: 30_000 },
  reporter: process.env.CI ? [['line'], ['json', { outputFile: 'test-results/results.json' }]] : 'list',
  use: { baseURL: running ?? `http://127.0.0.1:${port}`, launchOptions: browserOptions, trace: 'retain-on-failure', actionTimeout: 30_000 },
  projects: [
    // What computes does not depend on the size of the page; others give it all sizes themselves, and Swagger UI is not ours.
    { name: 'phone', testIgnore: ['**/accelerators.spec.ts', '**/axe.spec.ts', '**/imported.spec.ts', '**/origins.spec.ts', '**/room.spec.ts', '**/swagger.spec.ts'], use: { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true } },
    { name: 'desktop', use: { viewport: { width: 1440, height: 900 } } },
  ],
  ...(!running && {
    webServer: [
      // The very weights that the browser runs, so that the engines are held to each other and not the variants;
      serve(port, 'fp16'),
      // and those that a server takes by itself, held to what their manifest publishes.
      serve(port + 1, 'auto'),
    ],
  }),
});

function serve(port: number, variant: string) {
  return {
    command: process.env.WHATSIT_SERVER ?? 'dotnet run --project ../src/Server',
    env: { PORT: String(port), Catalog__Variant: variant },
    url: `http://127.0.0.1:${port}/health/ready`,
    timeout: 240_000,
  };
}
