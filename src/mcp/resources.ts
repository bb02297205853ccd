import { McpError, type ReadResourceResult, type Resource } from '@modelcontextprotocol/sdk/types.js';
import type { CallOptions, EngineClient } from '../client/engineClient.ts';
import { CoppiceError } from '../protocol/errors.ts';
import { operationLine } from '../verbs/operations.ts';
import { humanSize, oneLine, shortId } from '../verbs/wording.ts';
import { lineageUri, operationUri, parseResourceUri, RESOURCE_NOT_FOUND } from './resourceUri.ts';

/** The newest of each are listed; all others are reached by their address. */
const MOST_LISTED = 100;
/** A larger file is for read_file, which pages, or download. */
const LARGEST_FILE = 1_000_000;

export async function listResources(client: EngineClient, options: CallOptions): Promise<Resource[]> {
  const [{ sections }, { images }, { operations }] = await Promise.all([
    client.call('get_guide', {}, options),
    client.call('list_images', { limit: MOST_LISTED }, options),
    client.call('list_operations', { limit: MOST_LISTED }, options),
  ]);
  return [
    ...sections.map(({ name, summary }) => ({
      uri: `coppice://guide/${name}`,
      name: `guide ${name}`,
      description: summary,
      mimeType: 'text/markdown',
      annotations: { audience: ['assistant' as const], priority: name === 'workflow' ? 0.8 : 0.4 },
    })),
    ...images.map(image => ({
      uri: lineageUri(image.uuid),
      name: `image ${image.tag ?? shortId(image.uuid)}`,
      description: `${oneLine(image.title, 100)}, ${humanSize(image.size)}`,
      mimeType: 'application/json',
    })),
    ...operations.map(operation => ({
      uri: operationUri(operation.operation_id),
      name: `operation ${shortId(operation.operation_id)}`,
      description: operationLine(operation),
      mimeType: 'application/json',
    })),
  ];
}

export async function readResource(
  client: EngineClient,
  uri: string,
  options: CallOptions,
): Promise<ReadResourceResult> {
  try {
    return { contents: [{ uri, ...(await contentOf(client, uri, options)) }] };
  } catch (error) {
    throw error instanceof CoppiceError ? asResourceError(error, uri) : error;
  }
}

type Content = { readonly mimeType: string } & ({ readonly text: string } | { readonly blob: string });

async function contentOf(client: EngineClient, uri: string, options: CallOptions): Promise<Content> {
  const address = parseResourceUri(uri);
  switch (address.kind) {
    case 'lineage':
      return json(await client.call('lineage', { image: address.image }, options));
    case 'ls':
      return json(await client.call('list_files', { image: address.image, path: address.path }, options));
    case 'read':
      return fileContent(client, address.image, address.path, options);
    case 'operation':
      return json(await client.call('get_operation', { operation_id: address.id as `op-${string}` }, options));
    case 'guide': {
      const { text } = await client.call('get_guide', { section: address.section }, options);
      return { mimeType: 'text/markdown', text };
    }
  }
}

const json = (value: unknown): Content => ({ mimeType: 'application/json', text: JSON.stringify(value, null, 1) });

async function fileContent(client: EngineClient, image: string, path: string, options: CallOptions): Promise<Content> {
  const file = await client.call('read_file', { image, path, length: LARGEST_FILE }, options);
  if (!file.eof) {
    throw new CoppiceError('unsupported', `${path} has ${humanSize(file.size)}, too much for one resource`, {
      fix: 'Read it in pieces with read_file, or copy it out with download.',
    });
  }
  return file.encoding === 'text'
    ? { mimeType: 'text/plain', text: file.content }
    : { mimeType: 'application/octet-stream', blob: file.content };
}

function asResourceError(error: CoppiceError, uri: string): McpError {
  const text = [`${error.code}: ${error.message}`, ...(error.fix === undefined ? [] : [error.fix])].join('. ');
  return new McpError(RESOURCE_NOT_FOUND, text, { uri, code: error.code });
}
