/** Elements in one expression. */

export type Child = Node | string | null | undefined | false;
export type Attributes = Readonly<Record<string, string | number | boolean | null | undefined>>;

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes?: Attributes,
  ...children: readonly Child[]
): HTMLElementTagNameMap[K];
export function element(tag: string, attributes?: Attributes, ...children: readonly Child[]): HTMLElement;
export function element(tag: string, attributes: Attributes = {}, ...children: readonly Child[]): HTMLElement {
  const made = document.createElement(tag);
  setAttributes(made, attributes);
  append(made, children);
  return made;
}

export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[K] {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  setAttributes(made, attributes);
  append(made, children);
  return made;
}

/** Only what differs is written: a screen reader and the layout notice every write. */
export function setAttributes(target: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) {
      if (target.hasAttribute(name)) target.removeAttribute(name);
    } else {
      const text = value === true ? '' : String(value);
      if (target.getAttribute(name) !== text) target.setAttribute(name, text);
    }
  }
}

export function setText(target: Element, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

function append(target: Element, children: readonly Child[]): void {
  for (const child of children) if (child) target.append(child);
}

/** Of the icons that are bundled as text; decoration, never the only name of something. */
export function icon(source: string, className = ''): SVGSVGElement {
  const template = document.createElement('template');
  template.innerHTML = source;
  const picture = template.content.firstElementChild as SVGSVGElement;
  setAttributes(picture, { 'aria-hidden': 'true', class: `icon ${className}`, width: 16, height: 16 });
  return picture;
}

let counter = 0;
export const freshId = (prefix: string): string => `${prefix}-${++counter}`;
