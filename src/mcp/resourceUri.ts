import { ErrorCode, McpError } from '@modelcontextprotocol/sdk/types.js';

/** What a resource's address names. `contree://` is answered like `coppice://`. */
export type ResourceAddress =
  | { readonly kind: 'lineage'; readonly image: string }
  | { readonly kind: 'ls' | 'read'; readonly image: string; readonly path: string }
  | { readonly kind: 'operation'; readonly id: string }
  | { readonly kind: 'guide'; readonly section: string };

export const TEMPLATES = [
  {
    uriTemplate: 'coppice://image/{image}/lineage',
    name: 'lineage',
    title: 'Lineage of an image',
    description: 'Parent, ancestors, children and root of an image, each with the command that made it.',
    mimeType: 'application/json',
  },
  {
    uriTemplate: 'coppice://image/{image}/ls/{+path}',
    name: 'ls',
    title: 'Folder of an image',
    description: 'What lies in a folder inside an image. No container is started.',
    mimeType: 'application/json',
  },
  {
    uriTemplate: 'coppice://image/{image}/read/{+path}',
    name: 'read',
    title: 'File of an image',
    description: 'A file inside an image, up to 1 MB. No container is started.',
  },
  {
    uriTemplate: 'coppice://operation/{id}',
    name: 'operation',
    title: 'Operation',
    description: 'An operation as it is now, with the beginning of its output. Subscribe to be told of its end.',
    mimeType: 'application/json',
  },
  {
    uriTemplate: 'coppice://guide/{section}',
    name: 'guide',
    title: 'Guide',
    description: 'How to work with Coppice: workflow, quickstart, reference, state, async, tagging, errors.',
    mimeType: 'text/markdown',
  },
] as const;

const IMAGE = /^image\/(.+?)\/(?:(lineage)|(ls|read)(?:\/(.*))?)$/s;
/** ConTree tells runs from imports in the address; here the id is enough. */
const OPERATION = /^operations?\/(?:instance\/|import\/)?([^/]+)$/;
const GUIDE = /^guide\/([^/]+)$/;

export function parseResourceUri(uri: string): ResourceAddress {
  const [, rest = ''] = /^(?:coppice|contree):\/\/(.*)$/s.exec(uri) ?? [];
  const [, image, lineage, verb, path = ''] = IMAGE.exec(rest) ?? [];
  if (image !== undefined && lineage) return { kind: 'lineage', image: decoded(uri, image) };
  if (image !== undefined && (verb === 'ls' || verb === 'read'))
    return { kind: verb, image: decoded(uri, image), path: `/${decoded(uri, path).replace(/^\/+/, '')}` };
  const [, id] = OPERATION.exec(rest) ?? [];
  if (id !== undefined) return { kind: 'operation', id: decoded(uri, id) };
  const [, section] = GUIDE.exec(rest) ?? [];
  if (section !== undefined) return { kind: 'guide', section: decoded(uri, section) };
  throw unknownResource(uri, `one of ${TEMPLATES.map(template => template.uriTemplate).join(', ')}`);
}

function decoded(uri: string, part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw unknownResource(uri, 'an address with its % signs as %25');
  }
}

/** As the protocol names a resource that is not there. */
export const RESOURCE_NOT_FOUND = -32002;

function unknownResource(uri: string, wanted: string): McpError {
  return new McpError(ErrorCode.InvalidParams, `no resource ${uri}: it is ${wanted}`);
}

export const lineageUri = (image: string): string => `coppice://image/${image}/lineage`;
export const operationUri = (id: string): string => `coppice://operation/${id}`;
