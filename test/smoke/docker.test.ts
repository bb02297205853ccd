import assert from 'node:assert/strict';
import { test } from 'node:test';
import Docker from 'dockerode';
import { startEngine } from '../harness/engine.ts';
import { eventually } from '../harness/eventually.ts';
import { isRunning } from '../harness/processes.ts';

/** The shortest way through the docker runtime on a real daemon; the whole contract suite runs there with the soak tests. */
test('an image, a run, what it kept, a sandbox, and nothing left in the daemon', async () => {
  const socketPath = new URL(process.env.COPPICE_DOCKER_HOST!).pathname;
  const daemon = new Docker({ socketPath });
  {
    await using engine = await startEngine();
    const { client } = engine;
    const image = await engine.busybox();
    const kept = await engine.keep('echo made > /made; echo told', { image, network: 'nat' });
    assert.equal(kept.stdout, 'told\n');
    const { images } = await client.call('list_images', {});
    assert.deepEqual(
      images
        .map(({ uuid, parent, runtime }) => ({ uuid, parent, runtime }))
        .sort((a, b) => (a.parent ? 1 : b.parent ? -1 : 0)),
      [
        { uuid: image, parent: null, runtime: 'docker' },
        { uuid: kept.result_image, parent: image, runtime: 'docker' },
      ],
    );
    const { sandbox_id } = await client.call('create_sandbox', {
      image: kept.result_image,
      network: 'none',
      detached: true,
    });
    const looked = await client.call('exec', { sandbox_id, command: ['grep', '-qx', 'made', '/made'], wait: true });
    assert.equal(looked.exit_code, 0);
    const running = await daemon.listContainers({ filters: { label: [`coppice.id=${sandbox_id}`] } });
    assert.equal(running.length, 1, 'the daemon runs it');
    await client.call('stop_sandbox', { sandbox_id });
    await client.call('remove_image', { image: kept.result_image });
    await client.call('wipe', { confirm: true });
    await client.closed;
    await eventually('the engine is gone', () => !isRunning(client.engine.pid));
  }
  assert.deepEqual(await daemon.listContainers({ all: true }), []);
  assert.deepEqual(await daemon.listImages(), []);
  assert.deepEqual((await daemon.listVolumes()).Volumes ?? [], []);
});
