import path from 'node:path';
import { defaultHome } from '../protocol/endpoint.ts';
import type { EngineLocation } from './startEngine.ts';

/** The user's engine, started by the SDK's own bundle where none runs. */
export function engineLocation(): EngineLocation {
  return { home: defaultHome(), script: path.join(import.meta.dirname, '..', 'engine.js'), start: true };
}
