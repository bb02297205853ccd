import type { z } from 'zod';
import * as branches from './schemas/branches.ts';
import * as engine from './schemas/engine.ts';
import * as files from './schemas/files.ts';
import * as guides from './schemas/guides.ts';
import * as images from './schemas/images.ts';
import * as operations from './schemas/operations.ts';
import * as sandboxes from './schemas/sandboxes.ts';
import * as states from './schemas/states.ts';

/** Every verb's input and result. The engine validates with these; `src/verbs` describes them for people and agents. */
export const verbSchemas = {
  run: { input: operations.runInput, result: operations.runResult },
  run_again: { input: operations.runAgainInput, result: operations.started },
  list_operations: { input: operations.listOperationsInput, result: operations.listOperationsResult },
  get_operation: { input: operations.getOperationInput, result: operations.operationResult },
  read_output: { input: operations.readOutputInput, result: operations.readOutputResult },
  wait_operations: { input: operations.waitOperationsInput, result: operations.waitOperationsResult },
  cancel_operation: { input: operations.cancelOperationInput, result: operations.cancelOperationResult },

  import_image: { input: images.importImageInput, result: images.importImageResult },
  build: { input: images.buildInput, result: images.buildResult },
  registry_auth: { input: images.registryAuthInput, result: images.registryAuthResult },
  export_image: { input: images.exportImageInput, result: images.exportImageResult },
  list_images: { input: images.listImagesInput, result: images.listImagesResult },
  get_image: { input: images.getImageInput, result: images.getImageResult },
  set_tag: { input: images.setTagInput, result: images.setTagResult },
  remove_image: { input: images.removeImageInput, result: images.removeImageResult },
  prune: { input: images.pruneInput, result: images.pruneResult },
  lineage: { input: images.lineageInput, result: images.lineageResult },
  recipe: { input: images.recipeInput, result: images.recipeResult },

  rsync: { input: states.rsyncInput, result: states.rsyncResult },
  states: { input: states.statesInput, result: states.statesResult },
  apply: { input: states.applyInput, result: states.applyResult },

  upload: { input: files.uploadInput, result: files.uploadResult },
  list_files: { input: files.listFilesInput, result: files.listFilesResult },
  stat_file: { input: files.statFileInput, result: files.statFileResult },
  read_file: { input: files.readFileInput, result: files.readFileResult },
  grep: { input: files.grepInput, result: files.grepResult },
  download: { input: files.downloadInput, result: files.downloadResult },
  diff: { input: files.diffInput, result: files.diffResult },

  branch: { input: branches.branchInput, result: branches.branchResult },
  checkout: { input: branches.checkoutInput, result: branches.checkoutResult },
  rollback: { input: branches.rollbackInput, result: branches.rollbackResult },
  branches: { input: branches.branchesInput, result: branches.branchesResult },

  create_sandbox: { input: sandboxes.createSandboxInput, result: sandboxes.sandboxView },
  list_sandboxes: { input: sandboxes.listSandboxesInput, result: sandboxes.listSandboxesResult },
  get_sandbox: { input: sandboxes.sandboxInput, result: sandboxes.sandboxView },
  stop_sandbox: { input: sandboxes.sandboxInput, result: sandboxes.sandboxView },
  wait_sandbox: { input: sandboxes.waitSandboxInput, result: sandboxes.sandboxView },
  exec: { input: sandboxes.execInput, result: sandboxes.processView },
  wait_process: { input: sandboxes.waitProcessInput, result: sandboxes.processView },
  write_stdin: { input: sandboxes.writeStdinInput, result: sandboxes.done },
  resize: { input: sandboxes.resizeInput, result: sandboxes.done },
  kill_process: { input: sandboxes.killProcessInput, result: sandboxes.done },
  read_sandbox_file: { input: sandboxes.readSandboxFileInput, result: sandboxes.readSandboxFileResult },
  write_sandbox_file: { input: sandboxes.writeSandboxFileInput, result: sandboxes.done },
  list_sandbox_files: { input: sandboxes.sandboxPathInput, result: sandboxes.listSandboxFilesResult },
  stat_sandbox_file: { input: sandboxes.sandboxPathInput, result: files.fileEntry },
  make_sandbox_folder: { input: sandboxes.makeSandboxFolderInput, result: sandboxes.done },
  remove_sandbox_file: { input: sandboxes.removeSandboxFileInput, result: sandboxes.done },
  rename_sandbox_file: { input: sandboxes.renameSandboxFileInput, result: sandboxes.done },
  sessions: { input: sandboxes.sessionsInput, result: sandboxes.sessionsResult },
  open_session: { input: sandboxes.openSessionInput, result: sandboxes.sessionView },
  close_session: { input: sandboxes.sessionInput, result: sandboxes.closeSessionResult },
  adopt_sandbox: { input: sandboxes.adoptSandboxInput, result: sandboxes.sandboxView },
  release_sandbox: { input: sandboxes.releaseSandboxInput, result: sandboxes.sandboxView },
  snapshot: { input: sandboxes.snapshotInput, result: sandboxes.snapshotResult },

  get_guide: { input: guides.getGuideInput, result: guides.getGuideResult },

  doctor: { input: engine.doctorInput, result: engine.doctorResult },
  clean_up: { input: engine.cleanUpInput, result: engine.cleanUpResult },
  wipe: { input: engine.wipeInput, result: engine.wipeResult },
} as const;

export type VerbName = keyof typeof verbSchemas;
/** What a caller writes: defaults may be left out. */
export type VerbInput<V extends VerbName> = z.input<(typeof verbSchemas)[V]['input']>;
/** What the engine works with: validated, defaults filled in. */
export type VerbRequest<V extends VerbName> = z.output<(typeof verbSchemas)[V]['input']>;
export type VerbResult<V extends VerbName> = z.output<(typeof verbSchemas)[V]['result']>;
