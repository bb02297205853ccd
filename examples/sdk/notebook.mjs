// Notebook cells. JavaScript notebooks run them one after the other in a context that persists, inside a worker thread:
// so does this small kernel. Cells block with `.get()` or use `await`, as they like.
import { createRequire } from 'node:module';
import { once } from 'node:events';
import { createContext, Script } from 'node:vm';
import { isMainThread, parentPort, Worker } from 'node:worker_threads';

const cells = [
  // Cell 1: create a sandbox
  `var { Sandbox } = require('coppice');
   var sandbox = Sandbox.run({ network: 'none', tags: ['notebook-example'] });
   sandbox.wait().get();
   sandbox.status`,
  // Cell 2: execute commands
  `var result = sandbox.exec(['sh', '-c', 'echo $((1 + 1))']).get();
   result.stdout`,
  // Cell 3: discovery
  `var sandboxes = Sandbox.list({ tags: ['notebook-example'] }).get();
   'Found ' + sandboxes.length + ' sandboxes'`,
  // Cell 4: a cell that awaits
  `(async () => (await sandbox.exec(['echo', 'awaited'])).stdout)()`,
  // Cell 5: a mistake does not end the notebook
  `sandbox.readFile('/no/such/file').get()`,
  // Cell 6: cleanup
  `sandbox.stop().get();
   sandbox.status`,
];

if (isMainThread) {
  const kernel = new Worker(new URL(import.meta.url));
  for (const [n, source] of cells.entries()) {
    kernel.postMessage(source);
    const [{ value, error }] = await once(kernel, 'message');
    console.log(`[${n + 1}]`, error ?? value.trim());
  }
  await kernel.terminate();
} else {
  const context = createContext({ require: createRequire(import.meta.url), console });
  parentPort.on('message', async source => {
    try {
      parentPort.postMessage({ value: await new Script(source).runInContext(context) });
    } catch (error) {
      parentPort.postMessage({ error: `${error.name}: ${error.code}` });
    }
  });
}
