import { writeSync } from 'node:fs';
import { Sandbox, Session } from 'coppice';

// Makes sandboxes and ends, in the way it is told to.

const tags = [process.argv[3]];
const sandbox = Sandbox.run({ network: 'none', tags });
const owned = new Session({ network: 'none', tags }).sandbox();
const detached = Sandbox.run({ network: 'none', tags: [...tags, 'detached'], detached: true });
for (const each of [sandbox, owned, detached]) each.wait().get();
writeSync(1, 'ready\n');

const ways = {
  'by itself': () => {},
  'process.exit': () => process.exit(3),
  'a throw': () => {
    throw new Error('mine');
  },
  'an unhandled rejection': () => void Promise.reject(new Error('mine')),
  'SIGTERM while blocked': () => sandbox.exec(['sleep', '41790']).get(),
  'SIGKILL while blocked': () => sandbox.exec(['sleep', '41791']).get(),
  'process.exit in a callback': () => {
    sandbox.exec(['echo', 'x'], { onStdout: () => process.exit(4) }).get();
  },
};
ways[process.argv[2]]();
