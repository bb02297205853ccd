import path from 'node:path';
import { minimatch } from 'minimatch';

/**
 * VS Code's `files.watcherExclude` patterns as rules of our excludes: braces are written out, what is not `**` starts at the
 * folder, and a pattern for all that is in a folder prunes the folder itself.
 */
export function watcherRules(patterns: readonly string[], folder: string): string[] {
  return patterns.flatMap(pattern => minimatch.braceExpand(pattern)).flatMap(pattern => ruleOf(pattern, folder));
}

function ruleOf(pattern: string, folder: string): string[] {
  const inside = path.isAbsolute(pattern) ? path.relative(folder, pattern).split(path.sep).join('/') : pattern;
  if (inside === '' || inside === '..' || inside.startsWith('../')) return [];
  const whole = inside.replace(/(\/\*\*)+\/?$/, '/').replace(/^\/+/, '');
  // All of the folder: whoever wants that turns auto-sync off.
  if (whole === '' || /^(\*\*\/?)+$/.test(whole)) return [];
  return [whole.startsWith('**/') ? whole : `/${whole}`];
}
