import { defineCommand } from '../command.ts';
import { EXIT } from '../exitCode.ts';
import { placeInImage } from '../imagePath.ts';
import { printJson } from '../printJson.ts';

const PIECE = 4_194_304;

export const cat = defineCommand({
  name: 'cat',
  group: 'Files',
  summary: 'Print a file of an image',
  description: 'Byte for byte; nothing is started for it.',
  arguments: [
    { name: 'IMAGE:/PATH', help: 'The image and the file in it', completes: 'image' },
    { name: '/PATH', help: 'The file, when not in the first word', optional: true },
  ],
  options: {},
  run: async (context, { words }) => {
    const place = placeInImage('cat', words);
    const client = await context.connect();
    if (context.json) {
      printJson(context, await client.call('read_file', { ...place, length: 16_777_216 }));
      return EXIT.ok;
    }
    for (let offset = 0; ; ) {
      const piece = await client.call('read_file', { ...place, offset, length: PIECE, encoding: 'base64' });
      context.terminal.out.write(Buffer.from(piece.content, 'base64'));
      if (piece.eof || piece.next_offset === offset) return EXIT.ok;
      offset = piece.next_offset;
    }
  },
});
