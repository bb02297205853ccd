// What the entry points share: one copy in memory, so that `instanceof` holds between them.

export { CoppiceError } from '../protocol/errors.ts';
/** @internal */
export { engineLocation } from './engineLocation.ts';
export * from './errors.ts';
export { OperationRef } from './operationRef.ts';
export { Process } from './process.ts';
export { ProcessResult } from './processResult.ts';
export { RemoteFunction } from './remoteFunction.ts';
export { results, resultsLater } from './results.ts';
export { Sandbox } from './sandbox.ts';
export { Session } from './session.ts';
export { Shell } from './shell.ts';
export { StreamReader } from './streamReader.ts';
export { StreamWriter } from './streamWriter.ts';
export { wait, waitLater } from './wait.ts';
