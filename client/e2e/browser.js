import { existsSync } from 'node:fs';

/** Debian's Chromium where there is one, else the one that `npx playwright install chromium` brings. CHROMIUM names another. */
const executablePath = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find((path) => existsSync(path));

export const browserOptions = {
  ...(executablePath && { executablePath }),
  args: [
    ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    // A camera that shows a moving test picture, and no question whether it may be used.
    '--use-fake-device-for-media-stream',
    '--use-fake-ui-for-media-stream',
  ],
};

/** Chromium with graphics that the processor emulates; the page counts them with `?software-gpu`. */
export const softwareGraphics = [
  ...browserOptions.args.filter((arg) => arg !== '--disable-gpu'),
  '--ignore-gpu-blocklist',
  '--use-angle=swiftshader',
  '--enable-unsafe-swiftshader',
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
];
