import {
  provideVSCodeDesignSystem,
  vsCodeBadge,
  vsCodeButton,
  vsCodeCheckbox,
  vsCodeDropdown,
  vsCodeOption,
  vsCodeProgressRing,
  vsCodeTextArea,
  vsCodeTextField,
} from '@vscode/webview-ui-toolkit/dist/toolkit.min.js';
import { element, freshId, icon, setAttributes, setText } from '../dom.ts';

/** The toolkit's elements, behind functions of ours. Nothing outside this folder knows its tags. */

provideVSCodeDesignSystem().register(
  vsCodeBadge(),
  vsCodeButton(),
  vsCodeCheckbox(),
  vsCodeDropdown(),
  vsCodeOption(),
  vsCodeProgressRing(),
  vsCodeTextArea(),
  vsCodeTextField(),
);

interface Valued extends HTMLElement {
  value: string;
}
interface Checked extends HTMLElement {
  checked: boolean;
}

export interface ButtonLook {
  readonly icon?: string;
  readonly look?: 'primary' | 'secondary' | 'icon';
  readonly title?: string;
}

export class Button {
  readonly element: HTMLElement;
  /** No element: the toolkit gives a span in a button the size of an icon. */
  readonly #label: Text;

  constructor(label: string, press: () => void, { icon: source, look = 'secondary', title }: ButtonLook = {}) {
    const onlyIcon = look === 'icon';
    this.#label = document.createTextNode(onlyIcon ? '' : label);
    this.element = element(
      'vscode-button',
      {
        appearance: look,
        'aria-label': onlyIcon ? label : null,
        title: title ?? (onlyIcon ? label : null),
      },
      source ? withSlot(icon(source), look) : null,
      this.#label,
    );
    this.element.addEventListener('click', () => {
      if (!this.element.hasAttribute('disabled')) press();
    });
  }

  set label(text: string) {
    if (this.#label.data !== text) this.#label.data = text;
  }
  set disabled(disabled: boolean) {
    setAttributes(this.element, { disabled });
  }
  set hidden(hidden: boolean) {
    this.element.hidden = hidden;
  }
}

function withSlot(picture: SVGSVGElement, look: string): SVGSVGElement {
  if (look !== 'icon') picture.setAttribute('slot', 'start');
  return picture;
}

export interface FieldText {
  readonly label: string;
  readonly placeholder?: string;
  readonly hint?: string;
  readonly size?: number;
  /** Only for screen readers: what is beside it says it to others. */
  readonly labelHidden?: boolean;
}

/** A line or a block of text with its label, and what is wrong with it below. */
export class TextField {
  readonly element: HTMLElement;
  readonly #input: Valued;
  readonly #problem: HTMLElement;

  constructor(text: FieldText, changed: () => void, rows?: number) {
    const tag = rows === undefined ? 'vscode-text-field' : 'vscode-text-area';
    const id = freshId('problem');
    // The toolkit takes the name for screen readers from the content, and nothing else; panel.css does not show it twice.
    this.#input = element(
      tag,
      {
        placeholder: text.placeholder,
        size: text.size,
        rows,
        resize: rows === undefined ? null : 'vertical',
        spellcheck: 'false',
      },
      text.label,
    ) as Valued;
    this.#problem = element('div', { class: 'problem', id, role: 'alert' });
    this.#input.addEventListener('input', changed);
    this.element = element(
      'div',
      { class: 'field' },
      text.labelHidden ? null : element('span', { class: 'label', 'aria-hidden': 'true' }, text.label),
      this.#input,
      text.hint ? element('span', { class: 'hint' }, text.hint) : null,
      this.#problem,
    );
  }

  get value(): string {
    return this.#input.value ?? '';
  }
  set value(value: string) {
    if (this.#input.value !== value) this.#input.value = value;
  }
  set problem(message: string | undefined) {
    setText(this.#problem, message ?? '');
    setAttributes(this.element, { 'data-wrong': message !== undefined });
    setAttributes(this.#input, { 'aria-invalid': message !== undefined ? 'true' : null });
  }
  focus(): void {
    this.#input.focus();
  }
}

export interface Choice {
  readonly value: string;
  readonly label: string;
}

export class Dropdown {
  readonly element: HTMLElement;
  readonly #select: Valued;
  #choices = '';
  /** What code set: the toolkit calls that a change too. */
  #set: string | undefined;

  constructor(label: string, choices: readonly Choice[], changed: (value: string) => void, labelHidden = false) {
    this.#select = element('vscode-dropdown', { 'aria-label': label }) as Valued;
    this.choices = choices;
    this.#select.addEventListener('change', () => {
      if (this.#select.value === this.#set) return;
      this.#set = this.#select.value;
      changed(this.#select.value);
    });
    this.element = element(
      'div',
      { class: 'field' },
      labelHidden ? null : element('span', { class: 'label', 'aria-hidden': 'true' }, label),
      this.#select,
    );
  }

  set choices(choices: readonly Choice[]) {
    const told = JSON.stringify(choices);
    if (told === this.#choices) return;
    this.#choices = told;
    this.#select.replaceChildren(...choices.map(({ value, label }) => element('vscode-option', { value }, label)));
  }
  get value(): string {
    return this.#select.value;
  }
  set value(value: string) {
    this.#set = value;
    if (this.#select.value !== value) this.#select.value = value;
  }
  set hidden(hidden: boolean) {
    this.element.hidden = hidden;
  }
}

export class Checkbox {
  readonly element: Checked;
  #quiet = false;

  constructor(label: string, changed: (checked: boolean) => void) {
    this.element = element('vscode-checkbox', {}, label) as Checked;
    this.element.addEventListener('change', () => {
      if (!this.#quiet) changed(this.element.checked);
    });
  }

  get checked(): boolean {
    return this.element.checked;
  }
  /** The toolkit calls that a change too. */
  set checked(checked: boolean) {
    if (this.element.checked === checked) return;
    this.#quiet = true;
    this.element.checked = checked;
    this.#quiet = false;
  }
}

export const badge = (text: string): HTMLElement => element('vscode-badge', {}, text);
export const busy = (label: string): HTMLElement => element('vscode-progress-ring', { 'aria-label': label });
