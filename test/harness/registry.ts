import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { TemporaryFolder } from './temporaryFolder.ts';

const PROGRAM = '/usr/bin/docker-registry';

/** The one user of a registry with `access: { kind: 'basic' }`. */
export const basicUser = { username: 'coppice', password: 'open-sesame-5121' };
/** The same as the registry wants it: bcrypt, which neither Node nor openssl makes. */
const HTPASSWD = 'coppice:$2y$05$bdvRNfWRg8bk7cofiYVfp.fGevEiGP.klQCB9NFyyBhbrf2WVxowa\n';

export interface Certificates {
  /** The authority's, alone in its folder. */
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

export interface RegistryOptions {
  /** Who may come in, and how the registry asks: with a password, or with a token from a server at `realm`. */
  readonly access?:
    | { readonly kind: 'basic' }
    | {
        readonly kind: 'token';
        readonly realm: string;
        readonly service: string;
        readonly issuer: string;
        /** Who the tokens must be signed by. */
        readonly certificate: string;
      };
  /** Default: plain HTTP. */
  readonly tls?: Certificates;
  /** Serves the blobs of another one, which outlives it. */
  readonly beside?: TestRegistry;
  /** Listens on the loopback of this process's network. */
  readonly networkOf?: number;
}

/**
 * Debian's own registry on a free port of loopback, with its blobs in a folder that goes with it.
 *
 *     await using registry = await TestRegistry.start();
 *     await registry.push(layout.folder, 'latest', 'team/app:1');
 *     await engine.client.call('import_image', { registry_url: `docker://${registry.host}/team/app:1` });
 */
export class TestRegistry implements AsyncDisposable {
  /** `127.0.0.1:port`. */
  readonly host: string;
  readonly #options: RegistryOptions;
  readonly #process: ChildProcess;
  readonly #folder: TemporaryFolder;

  private constructor(host: string, options: RegistryOptions, process: ChildProcess, folder: TemporaryFolder) {
    this.host = host;
    this.#options = options;
    this.#process = process;
    this.#folder = folder;
  }

  /** Why it cannot run here; undefined when it can. */
  static missing(): string | undefined {
    const programs = { [PROGRAM]: 'docker-registry', '/usr/bin/skopeo': 'skopeo' };
    const missing = Object.entries(programs).find(([program]) => !existsSync(program));
    return missing && `${missing[0]} is missing: install Debian's ${missing[1]}`;
  }

  static async start(options: RegistryOptions = {}): Promise<TestRegistry> {
    const folder = new TemporaryFolder();
    writeFileSync(folder.join('config.yml'), JSON.stringify(configuration(folder, options)));
    const command = [PROGRAM, 'serve', folder.join('config.yml')];
    const entering =
      options.networkOf === undefined ? [] : ['nsenter', `--net=/proc/${options.networkOf}/ns/net`, '--'];
    // A daemon's own network begins without its loopback.
    if (entering.length > 0) execFileSync(entering[0]!, [...entering.slice(1), 'ip', 'link', 'set', 'lo', 'up']);
    const [program, ...args] = [...entering, ...command];
    const registry = spawn(program!, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    const kill = () => void registry.kill('SIGKILL');
    process.once('exit', kill);
    registry.once('exit', () => process.off('exit', kill));
    try {
      return new TestRegistry(await listeningAddress(registry), options, registry, folder);
    } catch (error) {
      kill();
      folder[Symbol.dispose]();
      throw error;
    }
  }

  /** Where its blobs and manifests lie. */
  get data(): string {
    return this.#options.beside?.data ?? this.#folder.join('data');
  }

  /** The file of a blob, to break it. */
  blobFile(digest: string): string {
    const hex = digest.replace('sha256:', '');
    return path.join(this.data, 'docker', 'registry', 'v2', 'blobs', 'sha256', hex.slice(0, 2), hex, 'data');
  }

  /** An image of an OCI layout, all its platforms; answers when the registry has it. */
  async push(layout: string, name: string, repository: string): Promise<void> {
    await this.copyIn(`oci:${layout}:${name}`, repository, ['--all']);
  }

  /** Whatever skopeo reads. */
  async copyIn(source: string, repository: string, more: readonly string[] = []): Promise<void> {
    const { access, tls } = this.#options;
    const policy = this.#folder.join('policy.json');
    writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}');
    const flags = [
      '--policy',
      policy,
      'copy',
      '--quiet',
      // Blobs arrive as they are, or their digests would be others.
      '--preserve-digests',
      `--dest-tls-verify=${tls === undefined ? 'false' : 'true'}`,
      ...(tls === undefined ? [] : ['--dest-cert-dir', path.dirname(tls.ca)]),
      ...(access !== undefined ? ['--dest-creds', `${basicUser.username}:${basicUser.password}`] : []),
      ...more,
    ];
    await promisify(execFile)('/usr/bin/skopeo', [...flags, source, `docker://${this.host}/${repository}`], {
      env: { PATH: process.env.PATH, HOME: this.#folder.path, TMPDIR: this.#folder.path },
    });
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.#folder[Symbol.dispose]();
  }
}

function configuration(folder: TemporaryFolder, { access, tls, beside }: RegistryOptions): unknown {
  return {
    version: '0.1',
    log: { level: 'info', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: beside?.data ?? folder.join('data') }, delete: { enabled: true } },
    http: {
      addr: '127.0.0.1:0',
      secret: 'for-tests',
      ...(tls === undefined ? {} : { tls: { certificate: tls.certificate, key: tls.key } }),
    },
    ...(access === undefined ? {} : { auth: accessConfiguration(folder, access) }),
  };
}

function accessConfiguration(folder: TemporaryFolder, access: NonNullable<RegistryOptions['access']>): unknown {
  if (access.kind === 'token') {
    const { realm, service, issuer, certificate } = access;
    return { token: { realm, service, issuer, rootcertbundle: certificate } };
  }
  const file = folder.join('htpasswd');
  writeFileSync(file, HTPASSWD);
  return { htpasswd: { realm: 'tests', path: file } };
}

/** It says where it listens; what it says before matters only when it does not. */
async function listeningAddress(registry: ChildProcess): Promise<string> {
  let said = '';
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  registry.stderr!.on('data', (text: Buffer) => {
    if (said.length < 20_000) said += text;
    const [, address] = /listening on (127\.0\.0\.1:\d+)/.exec(said) ?? [];
    if (address !== undefined) resolve(address);
  });
  registry.once('error', reject);
  registry.once('exit', code => reject(new Error(`docker-registry ended with ${code}:\n${said}`)));
  const timer = setTimeout(() => reject(new Error(`docker-registry does not listen after 20 s:\n${said}`)), 20_000);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

/** A certificate authority of a test's own, and a server's certificate that it signed. */
export function makeCertificates(folder: string): Certificates {
  // Alone in its folder, which may serve as a certs.d.
  mkdirSync(path.join(folder, 'authority'), { recursive: true });
  const file = (name: string) => path.join(folder, name);
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'], cwd: folder });
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  openssl('req', '-x509', ...curve, '-keyout', 'ca.key', '-out', 'authority/ca.crt', '-subj', '/CN=Coppice tests');
  openssl('req', ...curve.slice(0, -2), '-keyout', 'server.key', '-out', 'server.csr', '-subj', '/CN=localhost');
  writeFileSync(file('names'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
  openssl(
    ...['x509', '-req', '-in', 'server.csr', '-CA', 'authority/ca.crt', '-CAkey', 'ca.key', '-CAcreateserial'],
    ...['-days', '2', '-extfile', 'names', '-out', 'server.crt'],
  );
  return { ca: file('authority/ca.crt'), certificate: file('server.crt'), key: file('server.key') };
}
