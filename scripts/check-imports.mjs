import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { inRoot } from './paths.mjs';

/** Data flows one way: what each folder of src may import of ours, beside itself and `paths`. */
const mayImport = {
  protocol: [],
  paths: [],
  workspace: ['protocol'],
  registry: ['protocol'],
  runtimes: ['protocol', 'registry'],
  engine: ['protocol', 'workspace', 'registry', 'runtimes'],
  client: ['protocol'],
  verbs: ['protocol', 'client'],
  fence: ['protocol'],
  mcp: ['protocol', 'client', 'verbs', 'fence'],
  cli: ['protocol', 'client', 'verbs', 'workspace'],
  extension: ['protocol', 'client', 'verbs', 'workspace', 'fence'],
};

const importStatement =
  /^\s*(?:import|export)\s+(type\s)?(?:[^'"();]*?\sfrom\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm;

/** A name that says nothing about what is inside. */
const vagueName = /(?:^|[-.])(?:utils?|helpers?|managers?)\.|[a-z](?:Utils?|Helpers?|Managers?)\./;

function sources(folder) {
  return readdirSync(inRoot(folder), { recursive: true })
    .filter(name => name.endsWith('.ts'))
    .map(name => path.join(folder, name));
}

function imports(file) {
  const text = readFileSync(inRoot(file), 'utf8');
  return [...text.matchAll(importStatement)].map(match => ({
    typeOnly: match[1] !== undefined,
    specifier: match[2] ?? match[3],
    line: text.slice(0, match.index + match[0].length).split('\n').length,
  }));
}

/** `src/engine/images/lineage.ts` → `engine`; undefined outside src. */
function area(file) {
  const [top, folder] = file.split(path.sep);
  return top === 'src' ? folder : undefined;
}

function objection(file, { specifier, typeOnly }) {
  const from = area(file);
  if (specifier === 'vscode') return from === 'extension' ? undefined : 'only src/extension imports vscode';
  if (!specifier.startsWith('.')) return undefined;
  const target = path.join(path.dirname(file), specifier);
  const to = area(target);
  if (from === undefined) return to && !typeOnly ? 'webview takes only types from src' : undefined;
  if (to === undefined)
    return isPanelProtocol(file, target) && typeOnly ? undefined : `src imports nothing from ${target}`;
  if (to === from || to === 'paths' || mayImport[from].includes(to)) return undefined;
  return `${from} may not import ${to}`;
}

/** What the page and its host say to each other belongs to both. */
const isPanelProtocol = (file, target) =>
  file.startsWith(path.join('src', 'extension', 'panel', '')) && target === path.join('webview', 'protocol.ts');

/** The toolkit is deprecated: one folder knows its tags, so that one folder is to be changed when it goes. */
function toolkitObjections(file) {
  if (!file.startsWith('webview') || file.startsWith(path.join('webview', 'components')) || file.endsWith('.d.ts'))
    return [];
  const text = readFileSync(inRoot(file), 'utf8');
  return /(?<!-)\bvscode-[a-z]|webview-ui-toolkit/.test(text)
    ? [`${file}: the toolkit is for webview/components only`]
    : [];
}

function objections(file) {
  const from = area(file);
  if (from !== undefined && !mayImport[from]) return [`${file}: no rule in check-imports.mjs for this folder`];
  const found = toolkitObjections(file);
  if (vagueName.test(path.basename(file))) found.push(`${file}: name it for its noun or verb`);
  for (const entry of imports(file)) {
    const reason = objection(file, entry);
    if (reason) found.push(`${file}:${entry.line}: ${reason} ('${entry.specifier}')`);
  }
  return found;
}

/** The bundles say their version without reading package.json. */
function versionObjections() {
  const { version } = JSON.parse(readFileSync(inRoot('package.json'), 'utf8'));
  const text = readFileSync(inRoot('src/protocol/version.ts'), 'utf8');
  return text.includes(`VERSION = '${version}'`)
    ? []
    : [`src/protocol/version.ts: is not ${version}, as package.json says`];
}

const files = ['src', 'webview'].flatMap(sources);
const found = [...files.flatMap(objections), ...versionObjections()];
for (const line of found) console.error(line);
console.log(`imports: ${files.length} files, ${found.length} against the rules`);
process.exitCode = found.length === 0 ? 0 : 1;
