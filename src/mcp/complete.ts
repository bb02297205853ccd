import path from 'node:path';
import { type CompleteRequest, type CompleteResult, ErrorCode, McpError } from '@modelcontextprotocol/sdk/types.js';
import type { CallOptions, EngineClient } from '../client/engineClient.ts';
import { guideSections } from '../protocol/names.ts';
import { prompts } from './prompts.ts';
import { TEMPLATES } from './resourceUri.ts';

/** As many as the protocol lets an answer hold. */
const MOST_VALUES = 100;
const LOOKED_AT = 1000;

/** What may stand for an argument of a resource template or a prompt, by its beginning. */
export async function complete(
  client: EngineClient,
  { ref, argument, context }: CompleteRequest['params'],
  options: CallOptions,
): Promise<CompleteResult> {
  if (!isKnown(ref)) throw new McpError(ErrorCode.InvalidParams, 'no such prompt or resource template');
  const candidates = await candidatesFor(client, argument, context?.arguments ?? {}, options);
  const fitting = candidates.filter(candidate => candidate.startsWith(argument.value));
  return {
    completion: {
      values: fitting.slice(0, MOST_VALUES),
      total: fitting.length,
      hasMore: fitting.length > MOST_VALUES,
    },
  };
}

function isKnown(ref: CompleteRequest['params']['ref']): boolean {
  if (ref.type === 'ref/prompt') return prompts.some(prompt => prompt.name === ref.name);
  const asOurs = ref.uri.replace(/^contree:/, 'coppice:');
  return TEMPLATES.some(template => template.uriTemplate === asOurs);
}

async function candidatesFor(
  client: EngineClient,
  { name, value }: { readonly name: string; readonly value: string },
  given: Readonly<Record<string, string>>,
  options: CallOptions,
): Promise<readonly string[]> {
  switch (name) {
    case 'image':
      return images(client, options);
    case 'operation_id':
    case 'id':
      return operations(client, options);
    case 'section':
      return guideSections;
    case 'path':
      return given.image === undefined ? [] : entries(client, given.image, value, options);
    default:
      return [];
  }
}

async function images(client: EngineClient, options: CallOptions): Promise<string[]> {
  const { images: found } = await client.call('list_images', { limit: LOOKED_AT }, options);
  return [...found.flatMap(({ tag }) => (tag === null ? [] : [`tag:${tag}`])), ...found.map(({ uuid }) => uuid)];
}

async function operations(client: EngineClient, options: CallOptions): Promise<string[]> {
  const { operations: found } = await client.call('list_operations', { limit: LOOKED_AT }, options);
  return found.map(operation => operation.operation_id);
}

/** The template has a slash before the path already, so values go without unless one was typed. */
async function entries(client: EngineClient, image: string, typed: string, options: CallOptions): Promise<string[]> {
  const rooted = typed.startsWith('/');
  const folder = path.posix.dirname(`${rooted ? '' : '/'}${typed}x`);
  const { entries: found } = await client.call('list_files', { image, path: folder, limit: LOOKED_AT }, options);
  return found.map(({ path: place, type }) => `${rooted ? place : place.slice(1)}${type === 'directory' ? '/' : ''}`);
}
