import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { defaultDestination } from '../../../src/cli/syncedFolder.ts';
import { whyNotByItself } from '../../../src/workspace/byItself.ts';

const places = { store: '/nobody/me/.local/share/coppice', home: '/nobody/me', temporary: '/nobody/tmp' };

describe('a folder that goes along', () => {
  it('is a project, wherever it lies', () => {
    for (const folder of [
      '/nobody/me/project',
      '/nobody/tmp/x',
      '/opt/app',
      '/srv/site',
      '/var/www/site',
      '/workspace',
    ])
      assert.equal(whyNotByItself(folder, places), undefined, folder);
    assert.equal(defaultDestination('/nobody/me/project'), '/workspace/project');
    assert.equal(defaultDestination('/'), '/workspace');
  });

  it('is never a home, a system, or where the store is', () => {
    const reasons = {
      '/nobody/me': /your home folder/,
      '/nobody': /of the system/,
      '/': /of the system/,
      '/etc': /of the system/,
      '/etc/nginx': /of the system/,
      '/usr': /of the system/,
      '/usr/lib/node_modules': /of the system/,
      '/var': /of the system/,
      '/proc/1': /of the system/,
      '/nobody/tmp': /temporary files/,
      '/nobody/me/.local': /Coppice’s own files/,
      '/nobody/me/.local/share/coppice/blobs': /Coppice’s own files/,
    };
    for (const [folder, reason] of Object.entries(reasons)) assert.match(whyNotByItself(folder, places) ?? '', reason);
  });
});
