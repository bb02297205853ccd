import { writeSync } from 'node:fs';
import { InterruptedError, Sandbox } from 'coppice';

// One way to hang each: says `ready` when it blocks, then what it was told and when.

const say = object => writeSync(1, `${JSON.stringify(object)}\n`);
const told = work => {
  const begun = performance.now();
  try {
    work();
    say({ name: 'nothing' });
  } catch (error) {
    say({ name: error.name, code: error.code, message: error.message, milliseconds: performance.now() - begun });
  }
};
const blocked = sandbox => () => {
  const endless = sandbox.exec(['sleep', '41780']);
  say({ ready: true });
  endless.get();
};

const cases = {
  blocked() {
    const sandbox = Sandbox.run({ network: 'none' });
    sandbox.wait().get();
    told(blocked(sandbox));
  },
  'blocked, then asks again'() {
    cases.blocked();
    told(() => Sandbox.run({ network: 'none' }).wait().get());
  },
  'out of memory'() {
    const sandbox = Sandbox.run({ network: 'none' });
    sandbox.wait().get();
    told(() => sandbox.exec(new Array(5_000_000).fill('x')).get());
  },
  async 'in a callback'() {
    const sandbox = Sandbox.run({ network: 'none' });
    let asked = false;
    const onStdout = () => {
      if (!asked) told(() => sandbox.exec(['true']).get());
      asked = true;
    };
    await sandbox.exec(['echo', 'x'], { onStdout });
    sandbox.exec(['echo', 'x'], { onStdout: () => told(() => sandbox.exec(['true']).get()) }).get();
  },
  async 'async upload'() {
    const sandbox = Sandbox.run({ network: 'none' });
    const pieces = async function* () {
      yield 'one ';
      await new Promise(resolve => setTimeout(resolve, 10));
      yield 'two';
    };
    const cat = sandbox.exec(['cat'], { stdin: pieces() });
    told(() => cat.get());
    say({ stdout: (await cat).stdout });
    const writing = sandbox.writeFile('/file', pieces());
    told(() => writing.get());
    await writing;
    say({ stdout: sandbox.readFile('/file', { encoding: 'utf8' }).get() });
  },
  'Ctrl-C'() {
    blocked(Sandbox.run({ network: 'none' }))();
  },
  'Ctrl-C with a listener, twice'() {
    let heard = 0;
    process.on('SIGINT', () => heard++);
    const sandbox = Sandbox.run({ network: 'none' });
    sandbox.wait().get();
    for (let n = 0; n < 2; n++) told(blocked(sandbox));
    say({ heard });
  },
  'Ctrl-C twice'() {
    const sandbox = Sandbox.run({ network: 'none' });
    try {
      blocked(sandbox)();
    } catch (error) {
      say({ caught: error instanceof InterruptedError, exitCode: error.exitCode });
    }
    say({ stdout: sandbox.exec(['echo', 'goes on']).get().stdout });
    blocked(sandbox)();
  },
};

await cases[process.argv[2]]();
