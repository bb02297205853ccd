/**
 * Names are bytes on disk. Here a path is a string with one character a byte (latin1), which loses nothing, compares
 * as bytes do, and costs nothing for the usual ASCII names.
 */
export type BytePath = string;

const ASCII = /^[\0-\x7f]*$/;

/** For calls of the operating system. */
export const forSystem = (path: BytePath): string | Buffer => (ASCII.test(path) ? path : Buffer.from(path, 'latin1'));
/** From text that people or editors wrote. */
export const fromText = (text: string): BytePath =>
  ASCII.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1');
/** For people, and for patterns that people wrote. */
export const toText = (path: BytePath): string =>
  ASCII.test(path) ? path : Buffer.from(path, 'latin1').toString('utf8');
