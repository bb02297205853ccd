import type { DiffEntry, FileEntry } from '../protocol/schemas/files.ts';
import { listText } from './operations.ts';
import { ADDS, READS, type Verbs } from './verb.ts';
import { humanSize, plural } from './wording.ts';

type FileVerb = 'upload' | 'list_files' | 'stat_file' | 'read_file' | 'grep' | 'download' | 'diff';

export const fileVerbs: Verbs<FileVerb> = {
  upload: {
    title: 'Upload a file',
    description:
      'Stores one file (content, content_base64, or a path of this machine) and answers with its UUID, to be laid into ' +
      'runs by `files`: {"/app/script.py": uuid}. For generated or single files; for a folder use rsync.',
    annotations: { ...ADDS, idempotent: true, openWorld: true },
    core: true,
    render: result => `file ${result.uuid}\n${humanSize(result.size)}, sha256 ${result.sha256}`,
  },
  list_files: {
    title: 'List files of an image',
    description: 'The entries of a folder inside an image, without starting anything. Paths are absolute.',
    annotations: READS,
    core: false,
    render: result => listText(result.entries.map(fileLine), result.total, 'entry', `${result.path} is empty.`),
  },
  stat_file: {
    title: 'Look at one path of an image',
    description:
      'Kind, size, mode, owner and time of one path inside an image, and of what it leads to when it is a link, without ' +
      'starting anything.',
    annotations: READS,
    core: false,
    render: ({ entry, target }) => [entry, ...(target ? [target] : [])].map(fileLine).join('\n'),
  },
  read_file: {
    title: 'Read a file of an image',
    description:
      'A file inside an image, without starting anything: text when it is UTF-8, else base64. Page big files with ' +
      'offset = next_offset until eof.',
    annotations: READS,
    core: false,
    render: result =>
      result.eof && result.offset === 0
        ? result.content
        : `${result.content}\n[bytes ${result.offset}–${result.next_offset} of ${result.size}; ` +
          `${result.eof ? 'end' : `read on with offset:${result.next_offset}`}]`,
  },
  grep: {
    title: 'Search the files of an image',
    description:
      'Lines that match a JavaScript regular expression in the files of an image, without starting anything. Narrow it ' +
      'with path and glob; max_total bounds the answer.',
    annotations: READS,
    core: false,
    render: result =>
      [
        ...result.matches.map(match => `${match.path}:${match.line}:${match.text}`),
        `${plural(result.matches.length, 'match', 'matches')} in ${plural(result.files_searched, 'file')}` +
          (result.truncated ? '; cut, narrow path or glob, or raise max_total' : ''),
      ].join('\n'),
  },
  download: {
    title: 'Download from an image',
    description:
      'Copies a file, a folder or everything a glob matches out of an image to this machine, atomically, never outside ' +
      'the destination. The image must hold it: build with disposable:false, then download from result_image.',
    annotations: { readOnly: false, destructive: true, idempotent: true, openWorld: true },
    core: true,
    render: result =>
      [
        `${result.destination}: ${plural(result.files, 'file')}, ${humanSize(result.size)}` +
          (result.executable ? ', executable' : ''),
        ...result.skipped.map(path => `skipped ${path} (device, socket, or a link that leads outside)`),
      ].join('\n'),
  },
  diff: {
    title: 'Compare images',
    description:
      'What an image changed against its parent, or against any other image: A added, M modified, D deleted. text:true ' +
      'adds a unified diff of each changed text file.',
    annotations: READS,
    core: false,
    render: result =>
      [
        ...result.entries.map(entry => diffLine(entry)),
        result.total === 0
          ? `No difference${result.against === null ? '' : ` against ${result.against}`}.`
          : `${plural(result.total, 'change')}${result.total > result.entries.length ? `, ${result.entries.length} shown` : ''}, ` +
            `${humanSize(result.added_bytes)} written`,
      ].join('\n'),
  },
};

const TYPE_LETTER = { file: '-', directory: 'd', link: 'l', other: '?' } as const;

export function modeText(entry: FileEntry): string {
  const letters = [...'rwxrwxrwx'].map((letter, index) => (entry.mode & (1 << (8 - index)) ? letter : '-'));
  if (entry.mode & 0o4000) letters[2] = letters[2] === 'x' ? 's' : 'S';
  if (entry.mode & 0o2000) letters[5] = letters[5] === 'x' ? 's' : 'S';
  if (entry.mode & 0o1000) letters[8] = letters[8] === 'x' ? 't' : 'T';
  return TYPE_LETTER[entry.type] + letters.join('');
}

function fileLine(entry: FileEntry): string {
  const name = entry.type === 'directory' ? `${entry.path}/` : entry.path;
  return `${modeText(entry)} ${entry.uid}:${entry.gid} ${entry.size} ${name}${entry.link === null ? '' : ` -> ${entry.link}`}`;
}

function diffLine(entry: DiffEntry): string {
  const line = `${entry.change} ${entry.path}${entry.type === 'directory' ? '/' : ''}`;
  return entry.text ? `${line}\n${entry.text}` : line;
}
