import { svg } from './dom.ts';

/** A drawn SVG as a file of its own: the theme's colours become part of it. */

const PAINTED = [
  'fill',
  'stroke',
  'stroke-width',
  'stroke-dasharray',
  'opacity',
  'font-family',
  'font-size',
  'font-weight',
] as const;

/** `legend`: elements with a mark and a name each, which go below the picture. */
export function svgText(source: SVGSVGElement, legend: HTMLElement): string {
  const copy = source.cloneNode(true) as SVGSVGElement;
  const originals = [source, ...source.querySelectorAll('*')];
  for (const [index, element] of [copy, ...copy.querySelectorAll('*')].entries()) {
    const style = getComputedStyle(originals[index]!);
    // Attributes, not a style: the page's policy lets nothing write styles.
    for (const name of PAINTED) element.setAttribute(name, style.getPropertyValue(name));
    element.removeAttribute('class');
    element.removeAttribute('tabindex');
  }
  const { width, height } = sizeOf(source, legend);
  copy.setAttribute('xmlns', NAMESPACE);
  copy.setAttribute('width', String(width));
  copy.setAttribute('height', String(height));
  copy.setAttribute('viewBox', `0 0 ${width} ${height}`);
  for (const item of legendItems(source, legend)) copy.append(item);
  const background = document.createElementNS(NAMESPACE, 'rect');
  const color = getComputedStyle(document.body).getPropertyValue('--vscode-editor-background') || '#fff';
  for (const [name, value] of Object.entries({ width: '100%', height: '100%', fill: color }))
    background.setAttribute(name, value);
  copy.prepend(background);
  return new XMLSerializer().serializeToString(copy);
}

const NAMESPACE = 'http://www.w3.org/2000/svg';
const ITEM_HEIGHT = 20;
const CHARACTER = 7;

/** Where each item of the legend has its place: from left to right, row by row. */
function places(source: SVGSVGElement, legend: HTMLElement): { readonly x: number; readonly row: number }[] {
  const { width } = source.getBoundingClientRect();
  let [x, row] = [16, 0];
  return [...legend.children].map(item => {
    const needed = 34 + (item.textContent ?? '').length * CHARACTER;
    if (x > 16 && x + needed > width) [x, row] = [16, row + 1];
    const place = { x, row };
    x += needed;
    return place;
  });
}

function sizeOf(source: SVGSVGElement, legend: HTMLElement): { readonly width: number; readonly height: number } {
  const { width, height } = source.getBoundingClientRect();
  const rows = (places(source, legend).at(-1)?.row ?? -1) + 1;
  return { width: Math.round(width), height: Math.round(height) + rows * ITEM_HEIGHT };
}

function legendItems(source: SVGSVGElement, legend: HTMLElement): SVGElement[] {
  const { height } = source.getBoundingClientRect();
  const at = places(source, legend);
  return [...legend.children].map((item, index) => {
    const { x, row } = at[index]!;
    const mark = item.querySelector('path')!;
    return svg(
      'g',
      { transform: `translate(${x},${Math.round(height) + row * ITEM_HEIGHT + 8})` },
      svg('path', { d: mark.getAttribute('d'), fill: getComputedStyle(mark).fill }),
      svg(
        'text',
        {
          x: 12,
          y: 4,
          fill: getComputedStyle(item).color,
          'font-family': getComputedStyle(item).fontFamily,
          'font-size': 12,
        },
        item.textContent ?? '',
      ),
    );
  });
}

/** base64, twice as fine as on the screen. */
export async function pngBase64(source: SVGSVGElement, legend: HTMLElement): Promise<string> {
  const { width, height } = sizeOf(source, legend);
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svgText(source, legend))}`;
  await image.decode();
  const canvas = document.createElement('canvas');
  canvas.width = Math.round(width * 2);
  canvas.height = Math.round(height * 2);
  canvas.getContext('2d')!.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL('image/png').split(',')[1]!;
}
