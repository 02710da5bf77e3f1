import { spawn } from 'node:child_process';
import { createServer, request } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';

/** The published server. */
export const program = new URL('../../artifacts/server/Whatsit.Server', import.meta.url).pathname;

const stops: (() => unknown)[] = [];

/** Ends whatever was started here. */
export async function stopServers() {
  for (const stop of stops.splice(0)) await stop();
}

/** A server with settings of its own, once its models are loaded. */
export async function serve(settings: Record<string, string>): Promise<URL> {
  const server = spawn(program, ['--urls=http://127.0.0.1:0', ...Object.entries(settings).map(([name, value]) => `--${name}=${value}`)], { stdio: ['ignore', 'pipe', 'inherit'] });
  stops.push(() => server.kill());
  let address: string | undefined;
  let serves = false;
  // It listens while its models load: either line may come first.
  for await (const line of createInterface(server.stdout)) {
    address ??= /Now listening on: (\S+)/.exec(line)?.[1];
    serves ||= /\d+ of \d+ models serve/.test(line);
    if (!address || !serves) continue;
    // A log that nobody reads would hold the server up.
    server.stdout.resume();
    return new URL(address);
  }
  throw new Error('The server has ended.');
}

/** A server of the test's own on a free port, by its address without a slash at the end. */
export async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stops.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Leads requests on to a server, under the path that `pathOf` says; where that says none, another program of this host answers. */
export function leadOn(to: URL, pathOf: (path: string) => string | undefined, headers: Record<string, string> = {}): Promise<string> {
  return listen(createServer((incoming, answer) => {
    const path = pathOf(incoming.url!);
    if (path === undefined) {
      answer.writeHead(404).end('another program of this host');
      return;
    }
    const forwarded = request({ host: to.hostname, port: to.port, method: incoming.method, path, headers: { ...incoming.headers, ...headers } }, (response) => {
      answer.writeHead(response.statusCode!, response.headers);
      response.pipe(answer);
    });
    forwarded.on('error', () => answer.destroy());
    incoming.pipe(forwarded);
  }));
}
