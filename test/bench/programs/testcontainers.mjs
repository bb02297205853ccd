import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

// testcontainers' way to a container that runs `true`: each line in is one, its milliseconds are the line out.
//   node testcontainers.mjs NODE_MODULES NETWORK    with DOCKER_HOST

const [, , packages, network] = process.argv;
const { GenericContainer, Wait } = createRequire(`${packages}/`)('testcontainers');

async function once() {
  const begun = performance.now();
  const container = await new GenericContainer('bench')
    .withCommand(['true'])
    .withNetworkMode(network)
    .withWaitStrategy(Wait.forOneShotStartup())
    .start();
  await container.stop();
  return performance.now() - begun;
}

for await (const _ of createInterface({ input: process.stdin })) console.log(await once());
