import type { DoctorResult } from '../protocol/schemas/engine.ts';
import { READS, type Verbs } from './verb.ts';
import { humanSize, plural } from './wording.ts';

export const engineVerbs: Verbs<'doctor'> = {
  doctor: {
    title: 'Check the engine',
    description:
      'Whether sandboxes can run on this machine and with which limits and networks; where not, the step that failed ' +
      'and its cure. Call it when a run fails with runtime_unavailable or unsupported.',
    annotations: READS,
    core: false,
    render: doctorText,
  },
};

function doctorText(report: DoctorResult): string {
  return [
    `engine ${report.engine.version}, pid ${report.engine.pid}, Node ${report.node}, ${report.platform}, kernel ${report.kernel}`,
    `home ${report.home}: ${plural(report.store.images, 'image')}, ${plural(report.store.operations, 'operation')}, ` +
      `${humanSize(report.store.bytes)}; ${humanSize(report.disk_free_bytes)} free`,
    ...report.runtimes.flatMap(runtime => [
      runtime.available ? `${runtime.name}: works` : `${runtime.name}: ${runtime.reason ?? 'not available'}`,
      ...(runtime.fix === null ? [] : [`fix: ${runtime.fix}`]),
      ...(runtime.capabilities?.notes ?? []).map(note => `note: ${note}`),
    ]),
  ].join('\n');
}
