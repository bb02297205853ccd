import { type Browser, chromium, type Page } from 'playwright-core';

/** Debian's Chromium, which on its own would look for its makers' hosts at every start. */
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface BrowserPage extends AsyncDisposable {
  readonly page: Page;
}

export async function openPage(temporary: string): Promise<BrowserPage> {
  const browser: Browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: flags,
    env: { ...process.env, TMPDIR: temporary } as Record<string, string>,
  });
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 } });
  return { page: await context.newPage(), [Symbol.asyncDispose]: () => browser.close() };
}
