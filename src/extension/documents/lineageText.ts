import type { Lineage, LineageEdge } from '../../protocol/schemas/images.ts';
import { age, oneLine, shortId } from '../views/labels.ts';

/** An image's line from its root, and its children, as a tree of text. */
export function lineageText(lineage: Lineage, now: number): string {
  const ancestors = lineage.ancestors.toReversed();
  const lines = ancestors.map((ancestor, index) =>
    line(index, madeBy(ancestors[index - 1], lineage), ancestor.image, ancestor.tag, age(ancestor.created_at, now)),
  );
  lines.push(line(ancestors.length, madeBy(ancestors.at(-1), lineage), lineage.image, lineage.tag, '← this image'));
  for (const child of lineage.children) {
    lines.push(line(ancestors.length + 1, command(child), child.image, child.tag, age(child.created_at, now)));
  }
  if (!lineage.is_known) lines.unshift('… (older images are no longer here)');
  return `${lines.join('\n')}\n`;
}

function line(depth: number, made: string, image: string, tag: string | null, note: string): string {
  const branch = depth === 0 ? '' : `${'   '.repeat(depth - 1)}└─ `;
  return [`${branch}${shortId(image)}`, ...(tag === null ? [] : [`[${tag}]`]), made, `(${note})`].join('  ');
}

/** An ancestor's command is the one that led on from it, to the next image of the line. */
function madeBy(parent: LineageEdge | undefined, lineage: Lineage): string {
  return parent === undefined ? `import ${lineage.root.registry_url ?? ''}`.trimEnd() : command(parent);
}

function command(edge: LineageEdge): string {
  const text = oneLine(edge.command ?? 'unknown');
  return edge.exit_code === null || edge.exit_code === 0 ? text : `${text}  exit ${edge.exit_code}`;
}
