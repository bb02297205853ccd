import checkIcon from '@vscode/codicons/src/icons/check.svg';
import chevronIcon from '@vscode/codicons/src/icons/chevron-right.svg';
import closeIcon from '@vscode/codicons/src/icons/close.svg';
import downloadIcon from '@vscode/codicons/src/icons/cloud-download.svg';
import { element, freshId, icon, setAttributes, setText } from '../dom.ts';
import { type FileNode, fileTree, type VisibleNode, visibleNodes } from '../fileTree.ts';
import { bytes, counted } from '../format.ts';
import type { ChangedFiles, DownloadView, Row } from '../protocol.ts';
import { Button, busy, TextField } from './controls.ts';
import { VirtualRows } from './virtualRows.ts';

const ROW_HEIGHT = 22;
const changeWords = { A: 'added', M: 'changed', D: 'deleted' } as const;

export interface FileActions {
  open(path: string): void;
  download(paths: readonly string[]): void;
  cancelDownload(download: number): void;
}

/** What a run created or changed, as a tree to choose from. */
export class Files {
  readonly element: HTMLElement;
  readonly #title = element('div', { class: 'files-title' });
  readonly #tree = element('div', { class: 'files-tree', role: 'tree', tabindex: 0, 'aria-multiselectable': 'true' });
  readonly #empty = element('div', { class: 'empty' });
  readonly #downloads = element('div', { class: 'downloads', role: 'status' });
  readonly #glob: TextField;
  readonly #download: Button;
  readonly #matching: Button;
  readonly #rows: VirtualRows;
  readonly #actions: FileActions;
  readonly #prefix = freshId('file');
  #files: ChangedFiles | undefined;
  #nodes: readonly FileNode[] = [];
  #visible: readonly VisibleNode[] = [];
  #closed = new Set<string>();
  #checked = new Set<string>();
  #current = 0;
  #runs = 0;
  #toldDownloads = '';

  constructor(actions: FileActions) {
    this.#actions = actions;
    this.#rows = new VirtualRows(
      this.#tree,
      ROW_HEIGHT,
      () => element('div', { class: 'file', role: 'treeitem' }),
      (row, index) => this.#fill(row, this.#visible[index]!, index),
    );
    this.#download = new Button('Download…', () => this.#actions.download(this.#chosen()), { icon: downloadIcon });
    this.#glob = new TextField(
      { label: 'Files by pattern', placeholder: '/workspace/**/*.json', labelHidden: true },
      () => this.#offer(),
    );
    this.#matching = new Button('Download Matching…', () => this.#actions.download([this.#glob.value.trim()]));
    this.element = element(
      'div',
      { class: 'files' },
      this.#title,
      this.#empty,
      this.#tree,
      element('div', { class: 'files-actions' }, this.#download.element, this.#glob.element, this.#matching.element),
      this.#downloads,
    );
    this.#tree.addEventListener('click', event => this.#click(event));
    this.#tree.addEventListener('dblclick', event => this.#at(event, ({ node }) => this.#open(node)));
    this.#tree.addEventListener('keydown', event => this.#key(event));
    this.#offer();
  }

  /** `row` is the run whose files are shown, `runs` how many are selected: a download takes from all of them. */
  show(row: Row | undefined, files: ChangedFiles | undefined, runs: number): void {
    this.#runs = runs;
    const known = files !== undefined && files.id === row?.id ? files : undefined;
    if (known !== this.#files || !row) {
      if (known?.id !== this.#files?.id) this.#forget();
      this.#files = known;
      this.#nodes = fileTree(known?.entries ?? []);
      this.#update();
    }
    this.#say(row, known);
    this.#offer();
  }

  showDownloads(downloads: readonly DownloadView[]): void {
    const told = JSON.stringify(downloads);
    if (told === this.#toldDownloads) return;
    this.#toldDownloads = told;
    this.#downloads.replaceChildren(...downloads.map(download => this.#downloadRow(download)));
  }

  #downloadRow({ download, title, state, words, fraction }: DownloadView): HTMLElement {
    const bar = element('div', { class: 'bar-fill' });
    bar.style.width = `${(fraction ?? (state === 'going' ? 0.3 : 0)) * 100}%`;
    const cancel = new Button('Cancel download', () => this.#actions.cancelDownload(download), {
      icon: closeIcon,
      look: 'icon',
    });
    cancel.hidden = state !== 'going';
    return element(
      'div',
      { class: 'download', 'data-state': state },
      element('span', { class: 'download-title' }, title),
      element('div', { class: 'bar', 'data-going': state === 'going' && fraction === null }, bar),
      element('span', { class: 'download-words' }, words),
      cancel.element,
    );
  }

  #forget(): void {
    this.#closed = new Set();
    this.#checked = new Set();
    this.#current = 0;
  }

  #say(row: Row | undefined, files: ChangedFiles | undefined): void {
    const finished = row !== undefined && row.finished !== null;
    const shown = files?.entries.length ?? 0;
    const more = files && files.total > shown ? `, the first ${shown} of ${files.total}` : '';
    setText(
      this.#title,
      row && files && shown > 0
        ? `#${row.number}  ${row.labels.join('  ')} — ${counted(this.#count(), 'file')} created or changed${more}`
        : '',
    );
    const words = !row
      ? 'Select a run to see what it created or changed.'
      : !finished
        ? 'This run has not ended yet.'
        : (files?.problem ?? (files && shown === 0 ? 'This run changed no files.' : ''));
    const comparing = row !== undefined && finished && !files;
    if (comparing && !this.#empty.firstElementChild) this.#empty.replaceChildren(busy('Comparing'));
    else if (!comparing && this.#empty.firstElementChild) this.#empty.replaceChildren(words);
    else if (!comparing) setText(this.#empty, words);
    this.#tree.hidden = shown === 0;
  }

  #count(): number {
    return this.#nodes.reduce((sum, { files }) => sum + files, 0);
  }

  #chosen(): string[] {
    if (this.#checked.size > 0) return [...this.#checked].filter(path => !this.#isBelowChecked(path));
    const current = this.#visible[this.#current]?.node.path;
    return current === undefined ? [] : [current];
  }

  /** A folder takes what is in it along. */
  #isBelowChecked(path: string): boolean {
    return [...this.#checked].some(other => path !== other && path.startsWith(`${other}/`));
  }

  #offer(): void {
    const count = this.#checked.size;
    const from = this.#runs > 1 ? ` From ${this.#runs} Runs` : '';
    this.#download.label = count > 0 ? `Download ${count}${from}…` : `Download${from}…`;
    this.#download.disabled = this.#visible.length === 0;
    this.#matching.disabled = this.#runs === 0 || !this.#glob.value.trim().startsWith('/');
  }

  #update(): void {
    this.#visible = visibleNodes(this.#nodes, this.#closed);
    this.#current = Math.max(0, Math.min(this.#visible.length - 1, this.#current));
    setAttributes(this.#tree, {
      'aria-label': 'Files that the run created or changed',
      'aria-activedescendant': this.#visible.length > 0 ? `${this.#prefix}-${this.#current}` : null,
    });
    this.#rows.show(this.#visible.length);
    this.#offer();
  }

  #fill(target: HTMLElement, { node, depth, open }: VisibleNode, index: number): void {
    const folder = node.children.length > 0;
    const change = node.entry?.change;
    const checked = this.#checked.has(node.path) || this.#isBelowChecked(node.path);
    const size = change === 'D' ? '' : bytes(node.size);
    setAttributes(target, {
      id: `${this.#prefix}-${index}`,
      'data-index': index,
      'data-change': change,
      'data-current': index === this.#current,
      'aria-level': depth + 1,
      'aria-expanded': folder ? String(open) : null,
      'aria-checked': String(checked),
      'aria-selected': String(index === this.#current),
      'aria-label': [node.name, folder ? 'folder' : '', change && !folder ? changeWords[change] : '', size]
        .filter(Boolean)
        .join(', '),
      title: node.path,
    });
    target.style.paddingLeft = `${depth * 14 + 4}px`;
    target.replaceChildren(
      element('span', { class: `twistie${open ? ' open' : ''}` }, folder ? icon(chevronIcon) : ''),
      element('span', { class: 'check' }, checked ? icon(checkIcon) : ''),
      element('span', { class: 'file-name' }, node.name),
      element('span', { class: 'file-size' }, size),
      element('span', { class: 'file-change' }, folder ? '' : (change ?? '')),
    );
  }

  #at(event: Event, work: (visible: VisibleNode, target: Element) => void): void {
    const target = event.target as Element;
    const index = Number(target.closest('.file')?.getAttribute('data-index') ?? Number.NaN);
    const visible = this.#visible[index];
    if (!visible) return;
    this.#current = index;
    work(visible, target);
    this.#update();
  }

  #click(event: MouseEvent): void {
    this.#at(event, ({ node, open }, target) => {
      if (target.closest('.check') || event.ctrlKey || event.metaKey) this.#toggle(node);
      else if (node.children.length > 0) this.#fold(node, open);
    });
  }

  #toggle({ path, entry }: FileNode): void {
    if (entry?.change === 'D') return;
    if (!this.#checked.delete(path)) this.#checked.add(path);
  }

  #fold({ path, children }: FileNode, close: boolean): void {
    if (children.length === 0) return;
    if (close) this.#closed.add(path);
    else this.#closed.delete(path);
  }

  #open({ path, entry, children }: FileNode): void {
    if (children.length === 0 && entry?.change !== 'D') this.#actions.open(path);
  }

  #key(event: KeyboardEvent): void {
    const visible = this.#visible[this.#current];
    if (!visible) return;
    const { node, open, depth } = visible;
    const last = this.#visible.length - 1;
    const moves: Readonly<Record<string, number>> = {
      ArrowDown: this.#current + 1,
      ArrowUp: this.#current - 1,
      Home: 0,
      End: last,
    };
    const move = moves[event.key];
    if (move !== undefined) this.#current = Math.max(0, Math.min(last, move));
    else if (event.key === 'ArrowRight' && node.children.length > 0 && !open) this.#fold(node, false);
    else if (event.key === 'ArrowRight') this.#current = Math.min(last, this.#current + (open ? 1 : 0));
    else if (event.key === 'ArrowLeft' && open) this.#fold(node, true);
    else if (event.key === 'ArrowLeft')
      this.#current = Math.max(
        0,
        this.#visible.findLastIndex((other, at) => at < this.#current && other.depth < depth),
      );
    else if (event.key === ' ') this.#toggle(node);
    else if (event.key === 'Enter') this.#open(node);
    else return;
    event.preventDefault();
    this.#update();
    this.#rows.reveal(this.#current);
  }
}
