import { z } from 'zod';
import * as common from './common.ts';

export const doctorInput = z.strictObject({});

const limitSupport = z.object({ memory: z.boolean(), cpus: z.boolean(), pids: z.boolean() });
export const capabilities = z.object({
  limits: limitSupport,
  network: z.object({ nat: z.boolean(), none: z.boolean(), host: z.boolean() }),
  resources: z.object({ cpu: z.boolean(), memory: z.boolean() }),
  seccomp: z.boolean(),
  build: z.boolean(),
  notes: z.array(z.string()).describe('One line per capability that is missing: what and why'),
});
export const runtimeReport = z.object({
  name: common.runtimeName,
  available: z.boolean(),
  reason: z.string().nullable().describe('Why it is not available, naming the step that failed'),
  fix: z.string().nullable().describe('The cure'),
  capabilities: capabilities.nullable(),
});
export type RuntimeReport = z.infer<typeof runtimeReport>;

export const doctorResult = z.object({
  runtimes: z.array(runtimeReport),
  home: z.string(),
  engine: z.object({ version: z.string(), pid: z.number(), started_at: z.string() }),
  node: z.string(),
  platform: z.string().describe('As linux x64'),
  kernel: z.string(),
  disk_free_bytes: z.number().describe('Free on the disk that holds the home'),
  store: z.object({
    images: z.number(),
    operations: z.number(),
    bytes: z.number().describe('Images, outputs, uploaded files and records together'),
  }),
  settings: z.object({
    concurrency: z.number().describe('Operations at once'),
    idle_stop_seconds: z.number(),
    default_image: z.string().nullable(),
    output_cap: z.number().nullable().describe('Bytes kept of each output stream; null: the built-in cap'),
  }),
});
export type DoctorResult = z.infer<typeof doctorResult>;

export const cleanUpInput = z.strictObject({});
export const cleanUpResult = z.object({
  removed: z.array(z.string()).describe('What earlier engines had left in Docker or Podman'),
});

export const wipeInput = z.strictObject({
  confirm: z.literal(true, { error: 'must be true: everything of this home is removed, and there is no undo' }),
});
export const wipeResult = z.object({
  home: z.string(),
  images: z.number().describe('Images that are gone'),
  operations: z.number().describe('Operations whose records are gone'),
});
