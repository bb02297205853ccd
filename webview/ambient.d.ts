// biome-ignore-all lint/style/noDefaultExport: esbuild gives a text file as its default.
declare module '*.svg' {
  const source: string;
  export default source;
}

declare function acquireVsCodeApi(): {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
};

declare module '@vscode/webview-ui-toolkit/dist/toolkit.min.js' {
  export * from '@vscode/webview-ui-toolkit';
}
