import { CoppiceError } from '../../../protocol/errors.ts';
import type { ContainerUser } from '../ociSpec.ts';

export interface ResolvedUser extends ContainerUser {
  readonly home: string;
}

/** Text of a file of the image; undefined when there is none. */
export type ReadText = (path: string) => Promise<string | undefined>;

/** `name`, `uid`, either with `:group` or `:gid`, looked up in the image's own files as Docker does. */
export async function resolveUser(user: string | null, read: ReadText): Promise<ResolvedUser> {
  if (user === null || user === '' || user === 'root' || user === '0' || user === '0:0') {
    return { uid: 0, gid: 0, additionalGids: [], home: '/root' };
  }
  const [wantedUser = '', wantedGroup] = user.split(':', 2);
  const account = await findUser(wantedUser, read);
  const groups = rows(await read('/etc/group'), 4);
  const gid = wantedGroup === undefined ? account.gid : findGroup(wantedGroup, groups);
  // Its own among them, or a process could shed it and with it what the group may not.
  const additionalGids = [gid, ...(wantedGroup === undefined ? groupsOf(account.name, gid, groups) : [])];
  return { uid: account.uid, gid, additionalGids, home: account.home };
}

interface Account {
  readonly name: string | undefined;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

async function findUser(wanted: string, read: ReadText): Promise<Account> {
  const number = idNumber(wanted);
  const accounts = rows(await read('/etc/passwd'), 6);
  const row = accounts.find(fields => (number === undefined ? fields[0] === wanted : Number(fields[2]) === number));
  if (row) return { name: row[0], uid: Number(row[2]), gid: Number(row[3]), home: row[5] || '/' };
  if (number !== undefined) return { name: undefined, uid: number, gid: 0, home: '/' };
  throw new CoppiceError('command_not_started', `the image has no user ${JSON.stringify(wanted)} in /etc/passwd`, {
    field: 'user',
    fix: 'Name a user of the image, or give a number.',
  });
}

function findGroup(wanted: string, groups: readonly (readonly string[])[]): number {
  const number = idNumber(wanted);
  if (number !== undefined) return number;
  const row = groups.find(fields => fields[0] === wanted);
  if (row) return Number(row[2]);
  throw new CoppiceError('command_not_started', `the image has no group ${JSON.stringify(wanted)} in /etc/group`, {
    field: 'user',
    fix: 'Name a group of the image, or give a number.',
  });
}

function groupsOf(name: string | undefined, gid: number, groups: readonly (readonly string[])[]): number[] {
  if (name === undefined) return [];
  const member = groups.filter(fields => (fields[3] ?? '').split(',').includes(name));
  return member.map(fields => Number(fields[2])).filter(id => id !== gid);
}

function idNumber(text: string): number | undefined {
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}

function rows(text: string | undefined, fields: number): string[][] {
  return (text ?? '')
    .split('\n')
    .map(line => line.split(':'))
    .filter(row => row.length >= fields && /^\d+$/.test(row[2] ?? ''));
}
