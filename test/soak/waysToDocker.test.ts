import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect } from 'node:net';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createServer, type Server } from 'node:tls';
import { DockerDaemon } from '../harness/docker.ts';
import { startEngine } from '../harness/engine.ts';
import { makeCertificates } from '../harness/registry.ts';
import { TemporaryFolder } from '../harness/temporaryFolder.ts';

/** Every way on which a daemon may be far away, down to output that is attached to: by TLS, by a context, by `ssh`. */
describe('a daemon that is not at its usual place', { skip: DockerDaemon.missing() ?? false }, () => {
  let daemon: DockerDaemon;
  let folder: TemporaryFolder;
  let relay: Server;
  const environment = { ...process.env };

  before(async () => {
    daemon = await DockerDaemon.start();
    folder = new TemporaryFolder();
    mkdirSync(folder.join('server'));
    const { ca, certificate, key } = makeCertificates(folder.join('server'));
    const [authority, cert, secret] = [ca, certificate, key].map(file => readFileSync(file, 'utf8'));
    writeCertificates(folder.join('certificates'), { ca, certificate, key });
    // As dockerd --tlsverify: who has no certificate of the authority's is not let in.
    const tls = { ca: authority!, cert: cert!, key: secret!, requestCert: true };
    relay = createServer({ ...tls, allowHalfOpen: true }, socket => {
      const inner = connect({ path: daemon.socket, allowHalfOpen: true });
      for (const end of [socket, inner]) end.on('error', () => [socket, inner].map(each => each.destroy()));
      socket.pipe(inner).pipe(socket);
    });
    await new Promise<void>(resolve => relay.listen(0, '127.0.0.1', resolve));
  });
  after(async () => {
    relay.close();
    await daemon.stop();
    folder[Symbol.dispose]();
  });

  /** A run whose input, output and exit are right, and what `doctor` says of the way. */
  async function works(env: Record<string, string>): Promise<string> {
    process.env = { ...environment, COPPICE_RUNTIME: 'docker', ...env };
    try {
      await using engine = await startEngine();
      const image = await engine.busybox();
      const result = await engine.keep('cat; echo told >&2; echo made > /made', { image, stdin: 'given' });
      assert.deepEqual([result.stdout, result.stderr], ['given', 'told\n']);
      const read = await engine.client.call('read_file', { image: result.result_image, path: '/made' });
      assert.equal((read as { content?: string }).content, 'made\n');
      return await told(engine);
    } finally {
      process.env = environment;
    }
  }

  async function refused(env: Record<string, string>): Promise<string> {
    process.env = { ...environment, COPPICE_RUNTIME: 'docker', ...env };
    try {
      await using engine = await startEngine();
      return await told(engine);
    } finally {
      process.env = environment;
    }
  }

  const host = () => `tcp://localhost:${(relay.address() as AddressInfo).port}`;

  it('by TCP with TLS, both sides verified', async () => {
    const env = { DOCKER_HOST: host(), DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: folder.join('certificates') };
    assert.match(await works(env), /found by DOCKER_HOST/);
  });

  it('whose authority is another: refused, unless nothing is to be verified', async () => {
    mkdirSync(folder.join('other'));
    const { ca } = makeCertificates(folder.join('other'));
    const certificates = folder.join('mixed');
    writeCertificates(certificates, { ...pemsOf(folder.join('certificates')), ca });
    const env = { DOCKER_HOST: host(), DOCKER_CERT_PATH: certificates };
    assert.match(await refused({ ...env, DOCKER_TLS_VERIFY: '1' }), /no trusted connection to .*certificate/);
    assert.match(await works({ ...env, DOCKER_TLS: '1' }), /found by DOCKER_HOST/);
  });

  it('that lets nobody in without a certificate', async () => {
    assert.match(await refused({ DOCKER_HOST: host() }), /✗.*localhost/);
  });

  it('by a docker context', async () => {
    const config = folder.join('config');
    const hash = createHash('sha256').update('far').digest('hex');
    const meta = path.join(config, 'contexts', 'meta', hash);
    mkdirSync(meta, { recursive: true });
    writeFileSync(
      path.join(meta, 'meta.json'),
      JSON.stringify({ Name: 'far', Endpoints: { docker: { Host: host(), SkipTLSVerify: false } } }),
    );
    writeCertificates(path.join(config, 'contexts', 'tls', hash, 'docker'), pemsOf(folder.join('certificates')));
    writeFileSync(path.join(config, 'config.json'), JSON.stringify({ currentContext: 'far' }));
    assert.match(await works({ DOCKER_CONFIG: config }), /found by the docker context far/);
  });

  it('by the user’s own ssh', async () => {
    // Only the way is ours to test, not sshd: what is called `ssh` here leads to the daemon and notes how it was asked.
    const programs = folder.join('programs');
    mkdirSync(programs);
    const note = folder.join('asked');
    writeFileSync(
      path.join(programs, 'ssh'),
      [
        `#!${process.execPath}`,
        `require('node:fs').appendFileSync(${JSON.stringify(note)}, process.argv.slice(2).join(' ') + '\\n');`,
        `const socket = require('node:net').connect(${JSON.stringify(daemon.socket)});`,
        'process.stdin.pipe(socket).pipe(process.stdout);',
        '',
      ].join('\n'),
    );
    chmodSync(path.join(programs, 'ssh'), 0o755);
    const env = { DOCKER_HOST: 'ssh://me@far:2222', PATH: `${programs}:${process.env.PATH}` };
    assert.match(await works(env), /ssh:\/\/me@far:2222, found by DOCKER_HOST/);
    assert.match(readFileSync(note, 'utf8'), /^-T .*-l me -p 2222 -- far docker system dial-stdio\n/);
  });
});

interface Pems {
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

const pemsOf = (folder: string): Pems => ({
  ca: path.join(folder, 'ca.pem'),
  certificate: path.join(folder, 'cert.pem'),
  key: path.join(folder, 'key.pem'),
});

/** Under the names that docker wants. */
function writeCertificates(folder: string, from: Pems): void {
  mkdirSync(folder, { recursive: true });
  const to = pemsOf(folder);
  for (const name of ['ca', 'certificate', 'key'] as const) copyFileSync(from[name], to[name]);
}

async function told(engine: Awaited<ReturnType<typeof startEngine>>): Promise<string> {
  const { runtimes } = await engine.client.call('doctor', {});
  const docker = runtimes.find(({ name }) => name === 'docker')!;
  return docker.available ? docker.capabilities!.notes.join('\n') : `✗ ${docker.reason} ${docker.fix}`;
}
