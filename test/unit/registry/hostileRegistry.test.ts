import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { CoppiceError, ErrorCode } from '../../../src/protocol/errors.ts';
import { digestOf } from '../../harness/ociLayout.ts';
import { Outside } from '../../harness/outside.ts';
import { ScriptedServer } from '../../harness/scriptedServer.ts';

const layer = Buffer.from('a layer of an image'.repeat(1000));
const config = Buffer.from(
  JSON.stringify({
    os: 'linux',
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    rootfs: { diff_ids: [digestOf(layer)] },
  }),
);
const secret = 'hunter2-hunter2';

function manifestOf(more: object = {}): object {
  return {
    schemaVersion: 2,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(config), size: config.length },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: digestOf(layer), size: layer.length }],
    ...more,
  };
}

let registry: ScriptedServer;
let outside: Outside;
const image = (): string => `docker://${registry.host}/app:1`;

beforeEach(async () => {
  registry = await ScriptedServer.start();
  outside = new Outside();
});
afterEach(async () => {
  await registry[Symbol.asyncDispose]();
  outside[Symbol.dispose]();
});

async function refused(what: Promise<unknown>, code: ErrorCode): Promise<CoppiceError> {
  const error = (await what.then(
    () => assert.fail('it was taken'),
    thrown => thrown,
  )) as CoppiceError;
  assert.equal(error.code, code, error.stack);
  assert.doesNotMatch(JSON.stringify([error.message, error.fix, error.data]), new RegExp(secret));
  return error;
}

const bearer =
  (realm: string): ((_request: unknown, response: import('node:http').ServerResponse) => void) =>
  (_request, response) =>
    response
      .writeHead(401, { 'www-authenticate': `Bearer realm="${realm}",service="s",scope="repository:app:pull"` })
      .end();

describe('what a registry sends', () => {
  it('is taken when it is honest', async () => {
    registry.serve('app', '1', manifestOf(), [config, layer]);
    assert.deepEqual((await outside.bring(image())).read, [digestOf(layer)]);
    assert.deepEqual(outside.progress.at(-1), [layer.length, layer.length]);
    assert.deepEqual(readdirSync(`${outside.home}/registry/blobs`), []);
  });

  it('is refused when a byte of a layer is another', async () => {
    registry.serve('app', '1', manifestOf(), [config, layer]);
    const wrong = Buffer.from(layer);
    wrong[500] = wrong[500]! ^ 1;
    registry.on(`/v2/app/blobs/${digestOf(layer)}`, (_request, response) => response.end(wrong));
    await refused(outside.bring(image()), 'bad_digest');
  });

  it('is refused when a layer is longer than the manifest says, without reading on', async () => {
    registry.serve('app', '1', manifestOf(), [config]);
    let sent = 0;
    registry.on(`/v2/app/blobs/${digestOf(layer)}`, (_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write(layer)) sent += layer.length;
      };
      response.on('drain', more);
      more();
    });
    await refused(outside.bring(image()), 'bad_digest');
    assert.ok(sent < 50_000_000);
  });

  it('is refused when the manifest is not what its digest says', async () => {
    registry.serve('app', '1', manifestOf(), [config, layer]);
    registry.on('/v2/app/manifests/1', (_request, response) =>
      response.writeHead(200, { 'docker-content-digest': digestOf(layer) }).end(JSON.stringify(manifestOf())),
    );
    await refused(outside.bring(image()), 'bad_digest');
    await refused(outside.bring(`docker://${registry.host}/app@${digestOf(config)}`), 'registry_image_not_found');
  });

  it('is refused when the manifest never ends', async () => {
    registry.on('/v2/app/manifests/1', (request, response) => {
      if (request.method === 'HEAD') return void response.end();
      const more = () => {
        while (!response.destroyed && response.write(' '.repeat(65_536)));
      };
      response.on('drain', more);
      more();
    });
    assert.match((await refused(outside.bring(image()), 'import_failed')).message, /larger than/);
  });

  it('is refused when it is no image', async () => {
    const cases: readonly (readonly [object, ErrorCode])[] = [
      [{ schemaVersion: 1, fsLayers: [] }, 'unsupported'],
      [
        manifestOf({
          config: {
            mediaType: 'application/vnd.cncf.helm.config.v1+json',
            digest: digestOf(config),
            size: config.length,
          },
        }),
        'unsupported',
      ],
      [
        manifestOf({
          layers: [
            { mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip+encrypted', digest: digestOf(layer), size: 1 },
          ],
        }),
        'unsupported',
      ],
      [manifestOf({ layers: 'none' }), 'import_failed'],
      [manifestOf({ layers: [{ digest: 'sha256:../../etc/passwd', size: 1 }] }), 'import_failed'],
      [manifestOf({ layers: [{ digest: digestOf(layer), size: -1 }] }), 'import_failed'],
      [manifestOf({ layers: [{ digest: digestOf(layer), size: 1e300 }] }), 'import_failed'],
      [manifestOf({ layers: Array(501).fill({ digest: digestOf(layer), size: layer.length }) }), 'import_failed'],
      [manifestOf({ layers: [] }), 'import_failed'],
      [manifestOf({ config: { digest: digestOf(config), size: 2 ** 40 } }), 'import_failed'],
      [{ schemaVersion: 2, manifests: [] }, 'wrong_platform'],
      [
        {
          schemaVersion: 2,
          manifests: [{ digest: digestOf(config), size: 1, platform: { os: 'windows', architecture: 'amd64' } }],
        },
        'wrong_platform',
      ],
      [[], 'import_failed'],
    ];
    for (const [at, [manifest, code]] of cases.entries()) {
      registry.serve(`app${at}`, '1', manifest, [config, layer]);
      await refused(outside.bring(`docker://${registry.host}/app${at}:1`), code);
    }
  });

  it('is refused when an index leads to itself or on and on', async () => {
    let inner = digestOf(config);
    for (let depth = 0; depth < 6; depth++)
      inner = registry.serve('app', '1', { schemaVersion: 2, manifests: [{ digest: inner, size: 1 }] }, []);
    await refused(outside.bring(image()), 'import_failed');
  });

  it('is refused when there is no room for what it promises', async () => {
    registry.serve('app', '1', manifestOf({ layers: [{ digest: digestOf(layer), size: 2 ** 50 }] }), [config]);
    await refused(outside.bring(image()), 'disk_full');
  });

  it('is asked for again while it has trouble, as it wishes, and not for ever', async () => {
    let trouble = 3;
    registry.serve('app', '1', manifestOf(), [config, layer]);
    registry.on(`/v2/app/blobs/${digestOf(layer)}`, (_request, response) => {
      if (trouble-- > 0) response.writeHead(trouble % 2 ? 503 : 429, { 'retry-after': '0' }).end();
      else response.end(layer);
    });
    assert.deepEqual((await outside.bring(image())).read, [digestOf(layer)]);
    registry.on('/v2/app/manifests/1', (_request, response) =>
      response.writeHead(429, { 'retry-after': '3600' }).end(),
    );
    assert.match((await refused(outside.bring(image()), 'rate_limited')).fix!, /3600 s/);
    registry.on('/v2/app/manifests/1', (_request, response) => response.writeHead(500, { 'retry-after': '0' }).end());
    const before = registry.seen.length;
    await refused(outside.bring(image()), 'registry_unavailable');
    assert.ok(registry.seen.length - before < 10);
  });
});

describe('where a registry sends us', () => {
  it('is followed to other places of layers, without showing them who we are', async () => {
    await using storage = await ScriptedServer.start();
    outside.credentials = { [registry.host]: { kind: 'password', username: 'me', password: secret } };
    registry.serve('app', '1', manifestOf(), [config]);
    const serve = (path: string, target: string) =>
      registry.on(path, (request, response) => {
        if (request.headers.authorization === undefined)
          response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
        else response.writeHead(307, { location: target }).end();
      });
    serve(`/v2/app/blobs/${digestOf(layer)}`, `http://${storage.host}/blob?signature=1`);
    storage.on('/blob', (_request, response) => response.end(layer));
    assert.deepEqual((await outside.bring(image())).read, [digestOf(layer)]);
    assert.deepEqual(
      storage.seen.map(({ authorization }) => authorization),
      [undefined],
    );
    assert.ok(registry.seen.some(({ authorization }) => authorization?.startsWith('Basic ')));
  });

  it('is not followed in circles, to files, or with a password', async () => {
    for (const location of [
      '/v2/app/manifests/1',
      'file:///etc/passwd',
      'data:,x',
      'http://',
      `http://a:b@${registry.host}/x`,
    ]) {
      registry.on('/v2/app/manifests/1', (_request, response) => response.writeHead(302, { location }).end());
      await refused(outside.bring(image()), 'import_failed');
      assert.ok(registry.seen.length < 20);
      registry.seen.length = 0;
    }
  });

  it('is not followed for tokens where they would travel in the open, or on to nowhere', async () => {
    outside.credentials = { [registry.host]: { kind: 'password', username: 'me', password: secret } };
    const unsafe = ['file:///etc/passwd', 'ftp://host/x', '', 'not an address', 'https://a:b@host.invalid/'];
    for (const realm of [...unsafe, 'http://token.invalid/token']) {
      registry.on('/v2/app/manifests/1', bearer(realm));
      await refused(outside.bring(image()), 'import_failed');
    }
    registry.on('/v2/app/manifests/1', bearer('https://token.invalid/token'));
    await refused(outside.bring(image()), 'no_network');
  });

  it('gets tokens where it says, with what is kept for it and for nobody else', async () => {
    await using tokens = await ScriptedServer.start();
    outside.credentials = {
      [registry.host]: { kind: 'password', username: 'me', password: secret },
      'other.example': { kind: 'password', username: 'them', password: 'theirs' },
    };
    registry.serve('app', '1', manifestOf(), [config, layer]);
    const honest = (path: string, then: (response: import('node:http').ServerResponse) => void) =>
      registry.on(path, (request, response) => {
        if (request.headers.authorization === 'Bearer t0ken') then(response);
        else bearer(`http://${tokens.host}/token`)(request, response);
      });
    honest(`/v2/app/blobs/${digestOf(layer)}`, response => response.end(layer));
    tokens.on('/token', (_request, response) => response.end('{"token":"t0ken"}'));
    assert.deepEqual((await outside.bring(image())).read, [digestOf(layer)]);
    const [asked] = tokens.seen;
    assert.match(asked!.path, /service=s&scope=repository%3Aapp%3Apull&account=me$/);
    assert.equal(asked!.authorization, `Basic ${Buffer.from(`me:${secret}`).toString('base64')}`);
    assert.deepEqual([...new Set(outside.asked)], [registry.host]);
  });

  const elsewhere = Object.values(networkInterfaces())
    .flatMap(addresses => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

  it('is not followed from another machine into this one', {
    skip: elsewhere === undefined && 'no network but loopback',
  }, async () => {
    await using far = await ScriptedServer.start({ address: elsewhere! });
    registry.on('/inside', (_request, response) => response.end('{"token":"x"}'));
    const source = `http://${far.host}/app:1`;
    for (const host of [
      registry.host,
      registry.host.replace('127.0.0.1', 'localhost'),
      registry.host.replace('127.0.0.1', '[::1]'),
      '169.254.169.254',
    ]) {
      far.on('/v2/app/manifests/1', (_request, response) =>
        response.writeHead(302, { location: `http://${host}/inside` }).end(),
      );
      await refused(outside.bring(source), 'import_failed');
      far.on('/v2/app/manifests/1', bearer(`http://${host}/inside`));
      await refused(outside.bring(source), 'import_failed');
    }
    assert.deepEqual(registry.seen, []);
  });

  it('is shown nothing on the open network that was not given for exactly that', {
    skip: elsewhere === undefined && 'no network but loopback',
  }, async () => {
    await using far = await ScriptedServer.start({ address: elsewhere! });
    far.on('/v2/app/manifests/1', (_request, response) =>
      response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end(),
    );
    outside.credentials = { [far.host]: { kind: 'password', username: 'me', password: secret } };
    await refused(outside.bring(`http://${far.host}/app:1`), 'registry_unauthorized');
    assert.ok(far.seen.every(({ authorization }) => authorization === undefined));
    outside.credentials = { [`http://${far.host}`]: { kind: 'password', username: 'me', password: secret } };
    await refused(outside.bring(`http://${far.host}/app:1`), 'registry_unauthorized');
    assert.ok(far.seen.some(({ authorization }) => authorization?.startsWith('Basic ')));
    // Without http:// it is asked by TLS alone, which it does not speak.
    await refused(outside.bring(`docker://${far.host}/app:1`), 'registry_untrusted');
  });

  it('gets tokens for what a login left instead of a password', async () => {
    outside.credentials = { [registry.host]: { kind: 'identity', token: secret } };
    registry.on('/v2/app/manifests/1', bearer(`http://${registry.host}/token`));
    registry.on('/token', (_request, response) => response.writeHead(401).end(`{"details":"${secret}"}`));
    await refused(outside.bring(image()), 'registry_unauthorized');
    const asked = registry.seen.find(({ path }) => path === '/token')!;
    assert.equal(asked.method, 'POST');
    assert.equal(new URLSearchParams(asked.body).get('refresh_token'), secret);
    assert.equal(new URLSearchParams(asked.body).get('grant_type'), 'refresh_token');
  });

  it('gives tokens that are tokens', async () => {
    registry.on('/v2/app/manifests/1', bearer(`http://${registry.host}/token`));
    for (const answer of [
      '',
      'null',
      '[]',
      '{"token":7}',
      '{"token":"a\\r\\nX-Evil: 1"}',
      `{"token":"${'x'.repeat(2_000_000)}"}`,
    ]) {
      registry.on('/token', (_request, response) => response.end(answer));
      await refused(outside.bring(image()), 'import_failed');
    }
  });
});
