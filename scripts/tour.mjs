import { spawn } from 'node:child_process';
import { inRoot } from './paths.mjs';

/** The tour in the terminal: what is said, and the `coppice` command that shows it in a copy of examples/sample. */
const steps = [
  {
    says: 'A base image: this machine’s own system, copy-on-write. Nothing is downloaded.',
    command: ['import', 'host:', '--tag', 'base'],
  },
  {
    says: 'A run starts from an image exactly as it is, and what it writes is thrown away.',
    command: ['run', '-i', 'base', '-c', 'echo spoilt > /root/notes; cat /root/notes'],
  },
  {
    says: 'The next run sees none of it.',
    command: ['run', '-i', 'base', '-c', 'ls -A /root | wc -l'],
  },
  {
    says: 'An install, kept: what it changed is a new image, grown from the first.',
    command: [
      ...['run', '-i', 'base', '-t', 'greet'],
      ...inside('install.sh', 'vendor/greet-1.0.0.tgz'),
      ...['-c', 'sh /hazel/install.sh'],
    ],
  },
  {
    says: 'Whoever starts from it has it.',
    command: ['run', '-i', 'greet', '-c', '~/.local/bin/greet Hazel'],
  },
  ...['0.001', '0.01', '0.05'].map((rate, index) => ({
    says: index === 0 ? 'Three trainings from the same image, each result kept.' : '',
    command: [
      ...['run', '-i', 'greet', '-t', `rate-${rate}`],
      ...inside('train.sh', 'data/shoots.csv'),
      ...['-c', `sh /hazel/train.sh ${rate}`],
    ],
  })),
  {
    says: 'Where they all come from: siblings are siblings.',
    command: ['lineage', 'base'],
  },
  {
    says: 'What was done, and how long it took.',
    command: ['ps'],
  },
];

function inside(...files) {
  return files.flatMap(file => ['--file', `/hazel/${file}=${file}`]);
}

export async function tour(place) {
  for (const { says, command } of steps) {
    if (says) console.log(`\n${says}`);
    console.log(`\n  $ coppice ${command.map(quoted).join(' ')}`);
    await coppice(command, place);
  }
}

const quoted = word => (/^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word}'`);

/** Runs the built `coppice` command, as a user of this home would. */
export function coppice(args, { folder, home, signal }) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [inRoot('dist', 'coppice.js'), ...args], {
      cwd: folder,
      env: { ...process.env, COPPICE_HOME: home },
      stdio: 'inherit',
      signal,
    });
    child.once('error', reject);
    child.once('close', code => {
      if (code === 0) resolve();
      else reject(new Error(`coppice ${args.join(' ')}: ended with exit code ${code}`));
    });
  });
}
