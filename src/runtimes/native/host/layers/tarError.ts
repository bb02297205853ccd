/** The archive is not what it should be; the message goes on from "the archive cannot be unpacked: ". */
export class TarError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'TarError';
  }
}
