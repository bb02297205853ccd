/** The engine speaks of verbs and their fields; at a terminal people write options. */
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/disposable:\s*false/g, '--keep'],
  [/`steps: \[\.\.\.\]`/g, '--step'],
  [/limits\.(memory|cpus|pids)/g, '--$1'],
  [/`import_image host:`/g, '`coppice import host:`'],
  [/force:\s*true/g, '--force'],
  [/: result_image is/g, ': it is'],
  [/result_image/g, 'the kept image'],
];

export function inWordsOfTheLine(hint: string): string {
  return WORDS.reduce((text, [verb, line]) => text.replace(verb, line), hint);
}
