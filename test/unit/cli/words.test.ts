import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import { closest } from '../../../src/cli/closest.ts';
import { destinationFor } from '../../../src/cli/commands/cp.ts';
import { absoluteSource } from '../../../src/cli/commands/import.ts';
import { seconds } from '../../../src/cli/commands/prune.ts';
import { folderAndPlace } from '../../../src/cli/commands/run.ts';
import { parseImagePath, placeInImage } from '../../../src/cli/imagePath.ts';
import { progressText } from '../../../src/cli/progressLine.ts';
import { hasColours } from '../../../src/cli/terminal.ts';

describe('a place in an image', () => {
  it('is one word or two', () => {
    assert.deepEqual(parseImagePath('deps:/opt/x'), { image: 'deps', path: '/opt/x' });
    assert.deepEqual(parseImagePath('tag:python:3.11:/opt'), { image: 'tag:python:3.11', path: '/opt' });
    assert.deepEqual(parseImagePath('host::/etc/issue'), { image: 'host:', path: '/etc/issue' });
    assert.equal(parseImagePath('./file'), undefined);
    assert.deepEqual(placeInImage('ls', ['deps', '/opt']), { image: 'deps', path: '/opt' });
    assert.deepEqual(placeInImage('ls', ['deps'], '/'), { image: 'deps', path: '/' });
  });
  it('is refused when it is none', () => {
    assert.throws(() => placeInImage('cat', ['deps']), /the path is missing, as in deps:/);
    assert.throws(() => placeInImage('cat', ['deps', 'opt']), /begins with \//);
    assert.throws(() => placeInImage('cat', ['deps:/a', '/b']), /one word too many/);
  });
});

describe('places on this machine', () => {
  it('are made absolute', () => {
    assert.equal(absoluteSource('host:', '/home/me'), 'host:');
    assert.equal(absoluteSource('rootfs:x.tar', '/home/me'), 'rootfs:/home/me/x.tar');
    assert.equal(absoluteSource('./x.tar', '/home/me'), 'rootfs:/home/me/x.tar');
    assert.equal(absoluteSource('/x', '/home/me'), 'rootfs:/x');
    assert.equal(absoluteSource('docker://python:3.11', '/home/me'), 'docker://python:3.11');
    assert.equal(absoluteSource('python:3.11', '/home/me'), 'python:3.11');
    assert.deepEqual(folderAndPlace('.', '/home/me'), { source: '/home/me', destination: '/workspace/me' });
    assert.deepEqual(folderAndPlace('x', '/home/me', '/src'), { source: '/home/me/x', destination: '/src' });
    assert.deepEqual(folderAndPlace('src:/app', '/home/me'), { source: '/home/me/src', destination: '/app' });
  });
  it('are chosen as cp does', () => {
    const here = import.meta.dirname;
    assert.equal(destinationFor('/opt/x', undefined, here), path.join(here, 'x'));
    assert.equal(destinationFor('/opt/x', 'new', here), path.join(here, 'new'));
    assert.equal(destinationFor('/opt/x', 'new/', here), path.join(here, 'new', 'x'));
    assert.equal(destinationFor('/opt/*.png', 'plots', here), path.join(here, 'plots'));
  });
});

describe('words of people', () => {
  it('are recognised when nearly right', () => {
    assert.equal(closest('imges', ['images', 'import']), 'images');
    assert.equal(closest('rnu', ['run', 'rm']), 'run');
    assert.equal(closest('xyz', ['run', 'rm']), undefined);
  });
  it('are times', () => {
    assert.equal(seconds('14d'), 14 * 86_400);
    assert.equal(seconds('1.5h'), 5400);
    assert.equal(seconds('0'), 0);
    assert.throws(() => seconds('soon'), /--unused-for/);
  });
});

describe('a terminal', () => {
  it('shows colours to people only, and not against their will', () => {
    assert.equal(hasColours(true, {}), true);
    assert.equal(hasColours(false, {}), false);
    assert.equal(hasColours(true, { NO_COLOR: '1' }), false);
    assert.equal(hasColours(true, { TERM: 'dumb' }), false);
    assert.equal(hasColours(false, { FORCE_COLOR: '1' }), true);
    assert.equal(hasColours(true, { FORCE_COLOR: '0' }), false);
  });
  it('shows progress in one line', () => {
    assert.equal(
      progressText({ message: 'unpacking', done: 5, total: 10 }, 80),
      `${'█'.repeat(12)}${'░'.repeat(12)}  50%  unpacking`,
    );
    assert.equal(progressText({ message: 'reading\x1b[2J', done: 1500 }, 80), 'reading␛[2J 1.5 KB');
    assert.equal(progressText({ message: 'x'.repeat(100) }, 20).length, 20);
  });
});
