import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createSocketServer, type Server } from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import Docker from 'dockerode';
import { toWireError } from '../../../src/protocol/errors.ts';
import { Connection, optionsOf } from '../../../src/runtimes/docker/connect/connection.ts';
import { findEndpoints, type Surroundings, usualSockets } from '../../../src/runtimes/docker/connect/endpoint.ts';
import { sshArguments } from '../../../src/runtimes/docker/connect/sshAgent.ts';
import { TemporaryFolder } from '../../harness/temporaryFolder.ts';

const load = async () => Docker;

/** What answers at a socket of its own; its connections end with it. */
class Listening implements AsyncDisposable {
  readonly #server: Server;
  readonly #connections = new Set<{ destroy(): unknown }>();

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', socket => {
      this.#connections.add(socket);
      socket.on('error', () => undefined);
    });
  }

  static async at(socket: string, answer: RequestListener | undefined): Promise<Listening> {
    const server = answer ? createServer(answer) : createSocketServer();
    const listening = new Listening(server);
    await new Promise<void>(resolve => server.listen(socket, resolve));
    return listening;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) connection.destroy();
    await new Promise(resolve => this.#server.close(resolve));
  }
}

const saying =
  (version: object): RequestListener =>
  (_request, response) =>
    response.setHeader('content-type', 'application/json').end(JSON.stringify(version));
const modern = { Version: '27.0', ApiVersion: '1.46', Arch: 'amd64', Components: [{ Name: 'Engine' }] };

/** The trouble and its cure, as `coppice doctor` tells them. */
async function obstacle(host: string, answerMs = 20_000): Promise<{ reason: string; fix: string }> {
  try {
    await new Connection(host, load, answerMs).check();
  } catch (error) {
    const { code, message, fix } = toWireError(error);
    assert.equal(code, 'runtime_unavailable');
    return { reason: message.replace('the docker runtime is not available: ', ''), fix: fix ?? '' };
  }
  throw new Error(`${host} was connected`);
}

function surroundings(home: string, env: Record<string, string> = {}): Surroundings {
  return { env, home, platform: 'linux' };
}

function found(host: string | undefined, around: Surroundings): readonly string[] {
  const endpoints = findEndpoints(host, around);
  if ('reason' in endpoints) throw new Error(endpoints.reason);
  return endpoints.map(({ url, from, tls }) => `${url} by ${from}${tls ? ' with TLS' : ''}`);
}

function trouble(host: string | undefined, around: Surroundings): { readonly reason: string; readonly fix: string } {
  const endpoints = findEndpoints(host, around);
  if (!('reason' in endpoints)) throw new Error(`found ${JSON.stringify(endpoints)}`);
  return endpoints;
}

function writeContext(home: string, name: string, docker: object): string {
  const hash = createHash('sha256').update(name).digest('hex');
  const meta = path.join(home, '.docker', 'contexts', 'meta', hash);
  mkdirSync(meta, { recursive: true });
  writeFileSync(path.join(meta, 'meta.json'), JSON.stringify({ Name: name, Endpoints: { docker } }));
  writeFileSync(path.join(home, '.docker', 'config.json'), JSON.stringify({ currentContext: name }));
  const tls = path.join(home, '.docker', 'contexts', 'tls', hash, 'docker');
  mkdirSync(tls, { recursive: true });
  return tls;
}

describe('what keeps a daemon from being used, told apart', () => {
  it('not installed; installed and not started', () => {
    using folder = new TemporaryFolder();
    // Nothing of this machine's own daemons is looked at.
    const elsewhere = (env: Record<string, string>): Surroundings => ({ env, home: folder.path, platform: 'win32' });
    const absent = trouble(undefined, elsewhere({ PATH: folder.path }));
    assert.match(absent.reason, /neither Docker nor Podman is installed/);
    assert.match(absent.fix, /^Install/);
    writeFileSync(folder.join('podman.exe'), '');
    const stopped = trouble(undefined, elsewhere({ PATH: folder.path }));
    assert.match(stopped.reason, /Podman is installed .*no daemon runs/);
    assert.match(stopped.fix, /podman machine start/);
  });

  it('not running: a socket that nobody listens at, and none where one was named', async () => {
    using folder = new TemporaryFolder();
    const socket = folder.join('docker.sock');
    await (await Listening.at(`${socket}.new`, saying(modern)))[Symbol.asyncDispose]();
    const absent = await obstacle(`unix://${socket}`);
    assert.match(absent.reason, /there is nothing at unix:.*found by COPPICE_DOCKER_HOST/);
    assert.match(absent.fix, /Start the daemon, or correct COPPICE_DOCKER_HOST/);
    const refused = await obstacle('tcp://127.0.0.1:1');
    assert.match(refused.reason, /the daemon does not run: tcp:\/\/127.0.0.1:1/);
    assert.match(refused.fix, /Start the daemon there/);
  });

  it('no permission', { skip: process.getuid?.() !== 0 && 'only root can become somebody else' }, async () => {
    using folder = new TemporaryFolder();
    chmodSync(folder.path, 0o755);
    const socket = folder.join('docker.sock');
    await using _daemon = await Listening.at(socket, saying(modern));
    chmodSync(socket, 0o600);
    process.seteuid!(65534);
    try {
      const { reason, fix } = await obstacle(`unix://${socket}`);
      assert.match(reason, /this user may not use/);
      assert.match(fix, /group docker/);
    } finally {
      process.seteuid!(0);
    }
  });

  it('a wrong context', () => {
    using folder = new TemporaryFolder();
    const missing = trouble(undefined, surroundings(folder.path, { DOCKER_CONTEXT: 'prod' }));
    assert.match(missing.reason, /the docker context "prod" is not there/);
    assert.match(missing.fix, /docker context use/);
    writeContext(folder.path, 'odd', { Host: 'tcp//nowhere' });
    assert.match(
      trouble(undefined, surroundings(folder.path)).reason,
      /names no address of a daemon: "tcp\/\/nowhere"/,
    );
  });

  it('too old', async () => {
    using folder = new TemporaryFolder();
    const socket = folder.join('docker.sock');
    await using _daemon = await Listening.at(socket, saying({ ...modern, Version: '18.09', ApiVersion: '1.39' }));
    const { reason, fix } = await obstacle(`unix://${socket}`);
    assert.match(reason, /is too old: version 18\.09, API 1\.39/);
    assert.match(fix, /Docker 19\.03 or newer/);
  });

  it('no answer in time', async () => {
    using folder = new TemporaryFolder();
    const socket = folder.join('docker.sock');
    await using _daemon = await Listening.at(socket, undefined);
    const { reason, fix } = await obstacle(`unix://${socket}`, 200);
    assert.match(reason, /did not answer in time/);
    assert.match(fix, /Restart the daemon/);
  });

  it('something else that answers, and what hangs up', async () => {
    using folder = new TemporaryFolder();
    const socket = folder.join('docker.sock');
    await using _daemon = await Listening.at(socket, (_request, response) => response.end('<html>'));
    assert.match((await obstacle(`unix://${socket}`)).reason, /is no container daemon/);
    const other = folder.join('other.sock');
    await using _other = await Listening.at(other, request => request.socket.destroy());
    assert.match((await obstacle(`unix://${other}`)).reason, /the daemon does not run/);
  });

  it('TLS without its certificates, one half of them, and what speaks no TLS', async () => {
    using folder = new TemporaryFolder();
    const env = { DOCKER_HOST: 'tcp://h:2376', DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: folder.path };
    const { reason, fix } = trouble(undefined, surroundings(folder.path, env));
    assert.match(reason, /there is no ca\.pem/);
    assert.match(fix, /DOCKER_CERT_PATH/);
    writeFileSync(folder.join('ca.pem'), 'authority');
    writeFileSync(folder.join('cert.pem'), 'certificate');
    assert.match(
      trouble(undefined, surroundings(folder.path, env)).reason,
      /of cert\.pem and key\.pem there is only one/,
    );
    const plain = createServer(saying(modern));
    await new Promise<void>(resolve => plain.listen(0, '127.0.0.1', resolve));
    const { port } = plain.address() as { port: number };
    try {
      assert.match((await obstacle(`https://127.0.0.1:${port}`)).reason, /no trusted connection to/);
    } finally {
      plain.close();
    }
  });

  it('what is no address at all, whose password is not shown', () => {
    using folder = new TemporaryFolder();
    for (const host of [
      'nonsense',
      'tcp://',
      'unix://',
      'ftp://host',
      'ssh://-oProxyCommand=x',
      'tcp://h:1/path',
      'ssh://me@h/path',
      'a b',
    ])
      assert.match(trouble(host, surroundings(folder.path)).reason, /COPPICE_DOCKER_HOST is no address of a daemon/);
    const { reason } = trouble('ssh://me:geheim@host', surroundings(folder.path));
    assert.match(reason, /no address/);
    assert.ok(!reason.includes('geheim'), reason);
  });
});

describe('the way to a daemon', () => {
  it('is what was said for Coppice, then DOCKER_HOST, then the context, then the usual places', () => {
    using folder = new TemporaryFolder();
    const home = folder.path;
    mkdirSync(folder.join('.colima', 'default'), { recursive: true });
    mkdirSync(folder.join('run', 'podman'), { recursive: true });
    const sockets = [folder.join('.colima', 'default', 'docker.sock'), folder.join('run', 'podman', 'podman.sock')];
    for (const socket of sockets) writeFileSync(socket, '');
    const env = { XDG_RUNTIME_DIR: folder.join('run') };
    // The machine's own sockets are there or not.
    const usual = found(undefined, surroundings(home, env)).filter(each => each.includes(home));
    assert.deepEqual(
      usual,
      sockets.map(socket => `unix://${socket} by its usual place`),
    );
    const tls = writeContext(home, 'far', { Host: 'tcp://far:2376' });
    assert.deepEqual(found(undefined, surroundings(home, env)), ['tcp://far:2376 by the docker context far']);
    // Whatever cannot be read must not make it plain text.
    mkdirSync(path.join(tls, 'ca.pem'));
    assert.match(trouble(undefined, surroundings(home, env)).reason, /ca\.pem cannot be read: EISDIR/);
    rmSync(path.join(tls, 'ca.pem'), { recursive: true });
    writeFileSync(path.join(tls, 'ca.pem'), 'authority');
    assert.deepEqual(found(undefined, surroundings(home, env)), ['tcp://far:2376 by the docker context far with TLS']);
    writeFileSync(path.join(tls, 'key.pem'), 'key');
    assert.match(trouble(undefined, surroundings(home, env)).reason, /of cert\.pem and key\.pem there is only one/);
    rmSync(path.join(tls, 'key.pem'));
    const said = { ...env, DOCKER_HOST: 'ssh://me@far' };
    assert.deepEqual(found(undefined, surroundings(home, said)), ['ssh://me@far by DOCKER_HOST']);
    assert.deepEqual(found('near:2375', surroundings(home, said)), ['tcp://near:2375 by COPPICE_DOCKER_HOST']);
    // `default` means none.
    rmSync(path.join(home, '.docker', 'config.json'));
    assert.match(found(undefined, surroundings(home, { ...env, DOCKER_CONTEXT: 'default' })).join(), /colima/);
  });

  it('knows the places of the usual programs', () => {
    const of = (platform: NodeJS.Platform) =>
      usualSockets({ env: { XDG_RUNTIME_DIR: '/run/user/7', TMPDIR: '/t' }, home: '/h', platform });
    for (const place of [
      '/var/run/docker.sock',
      '/h/.docker/run/docker.sock',
      '/h/.docker/desktop/docker.sock',
      '/h/.orbstack/run/docker.sock',
      '/h/.colima/default/docker.sock',
      '/run/user/7/docker.sock',
      '/run/user/7/podman/podman.sock',
      '/run/podman/podman.sock',
    ])
      assert.ok(of('linux').includes(place), place);
    assert.ok(of('darwin').includes('/t/podman/podman-machine-default-api.sock'));
    assert.deepEqual(of('win32'), ['//./pipe/docker_engine', '//./pipe/podman-machine-default']);
  });

  it('goes on to the next usual place when one does not answer', async () => {
    using folder = new TemporaryFolder();
    mkdirSync(folder.join('.docker', 'run'), { recursive: true });
    mkdirSync(folder.join('.orbstack', 'run'), { recursive: true });
    writeFileSync(folder.join('.docker', 'run', 'docker.sock'), '');
    await using _daemon = await Listening.at(folder.join('.orbstack', 'run', 'docker.sock'), saying(modern));
    const before = { HOME: process.env.HOME, DOCKER_HOST: process.env.DOCKER_HOST };
    process.env.HOME = folder.path;
    delete process.env.DOCKER_HOST;
    try {
      const { endpoint } = await new Connection(undefined, load).daemon();
      // A daemon of the machine's own comes first.
      if (endpoint.url !== 'unix:///var/run/docker.sock') assert.match(endpoint.url, /orbstack/);
    } finally {
      for (const [name, value] of Object.entries(before)) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    }
  });

  it('is the one that was said, whatever DOCKER_HOST says', async () => {
    using folder = new TemporaryFolder();
    const socket = folder.join('docker.sock');
    await using _daemon = await Listening.at(socket, saying(modern));
    const before = process.env.DOCKER_HOST;
    process.env.DOCKER_HOST = 'tcp://127.0.0.1:1';
    try {
      const { version } = await new Connection(`unix://${socket}`, load).daemon();
      assert.equal(version, '27.0');
      assert.equal(process.env.DOCKER_HOST, 'tcp://127.0.0.1:1');
    } finally {
      if (before === undefined) delete process.env.DOCKER_HOST;
      else process.env.DOCKER_HOST = before;
    }
  });

  it('finds a daemon again that was away', async () => {
    using folder = new TemporaryFolder();
    const socket = folder.join('docker.sock');
    const connection = new Connection(`unix://${socket}`, load);
    const first = await Listening.at(socket, saying(modern));
    assert.equal((await connection.check()).version, '27.0');
    await first[Symbol.asyncDispose]();
    await assert.rejects(connection.check(), /there is nothing at/);
    await using _second = await Listening.at(socket, saying({ ...modern, Version: '28.0' }));
    assert.equal((await connection.check()).version, '28.0');
  });

  it('is spoken over by pipes, TCP with TLS and without, and the user’s own ssh', () => {
    const options = (url: string, tls?: object) =>
      optionsOf({ url, from: 'a test', tls: tls as Parameters<typeof optionsOf>[0]['tls'] });
    assert.deepEqual(options('npipe:////./pipe/docker_engine'), { socketPath: '\\\\.\\pipe\\docker_engine' });
    assert.deepEqual(options('tcp://h'), { host: 'h', port: 2375, protocol: 'http' });
    assert.deepEqual(options('tcp://h', { ca: 'A', cert: 'C', key: 'K', verify: true }), {
      ...{ host: 'h', port: 2376, protocol: 'https' },
      ...{ ca: 'A', cert: 'C', key: 'K' },
    });
    assert.deepEqual(sshArguments('ssh://me@far:2222').slice(-9), [
      ...['-l', 'me', '-p', '2222', '--', 'far', 'docker', 'system', 'dial-stdio'],
    ]);
  });
});
