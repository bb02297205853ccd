import { existsSync } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { CoppiceError } from '../../protocol/errors.ts';
import type { StreamName } from '../../protocol/events.ts';
import { type Rewritten, rewrite } from '../dockerfile/buildPlan.ts';
import { contextTar, readIgnoreFile } from '../dockerfile/context.ts';
import { reachOfTriggers, refuseReach } from '../dockerfile/reach.ts';
import type { BuildEnd, BuildSpec, ImportedImage, RuntimeBuild } from '../runtime.ts';
import type { BuildCache } from './buildCache.ts';
import { type BuildEvent, BuildSteps } from './buildSteps.ts';
import { refuseUnknownSyntax } from './buildSyntax.ts';
import type { Connection } from './connect/connection.ts';
import { configOf, type DockerImageData, type Images, imageData, withAlgorithm } from './images.ts';
import { homeLabel, kindLabel, type Names, operationLabel, parentLabel } from './names.ts';
import { Spool } from './spool.ts';

export interface BuildPlace {
  readonly connection: Connection;
  readonly images: Images;
  readonly names: Names;
  readonly cache: BuildCache;
  readonly log: (line: string) => void;
}

/** One build by the daemon's own builder, the same on Docker Engine and on Podman. */
export class DockerBuild implements RuntimeBuild {
  readonly ended: Promise<BuildEnd>;
  readonly #spec: BuildSpec;
  readonly #place: BuildPlace;
  /** undefined until the daemon is asked to build. */
  #steps: BuildSteps | undefined;
  #listener: (stream: StreamName, length: number) => void = () => {};

  constructor(spec: BuildSpec, place: BuildPlace) {
    this.#spec = spec;
    this.#place = place;
    this.ended = this.#build();
  }

  onOutput(listener: (stream: StreamName, length: number) => void): void {
    this.#listener = listener;
  }

  async #build(): Promise<BuildEnd> {
    const { spool: files, signal } = this.#spec;
    const { cache, log } = this.#place;
    const spool = new Spool(files.stdout, files.cap, { again: false });
    let result: BuildEnd['result'] | undefined;
    let output: BuildEnd['output'] | undefined;
    cache.begin();
    try {
      signal.throwIfAborted();
      const failed = await this.#follow(spool);
      result = failed ? this.#steps!.failure(failed) : await this.#made();
    } catch (error) {
      signal.throwIfAborted();
      throw await this.#place.connection.understood(error);
    } finally {
      output = spool.close();
      if (result === undefined || 'error' in result) await this.#takeBack();
      await cache.end().catch(error => log(`docker: what a build left has no name: ${(error as Error).message}`));
    }
    return { steps: this.#steps?.steps ?? [], output, result };
  }

  /** Resolves at the end, with the event that tells of a failure. */
  async #follow(spool: Spool): Promise<BuildEvent | undefined> {
    const { signal } = this.#spec;
    const daemon = await this.#place.connection.daemon();
    refuseUnknownSyntax(this.#spec.plan, daemon);
    const rewritten = this.#rewritten();
    const triggers = await this.#triggers();
    const steps = new BuildSteps(this.#spec.plan, {
      podman: daemon.podman,
      own: rewritten.own,
      triggers: triggers.length,
    });
    this.#steps = steps;
    const name = freeName(this.#spec.context);
    const own = new Map([[name, Buffer.from(rewritten.text)], ignoreFile(name, this.#spec, daemon.podman)]);
    const context = Readable.from(this.#context(own), { objectMode: false });
    let broken: unknown;
    context.once('error', error => {
      broken = error;
    });
    try {
      const answer = await daemon.api.buildImage(
        context as unknown as NodeJS.ReadableStream,
        {
          dockerfile: name,
          t: this.#place.names.image(this.#spec.uuid),
          buildargs: this.#spec.args,
          nocache: this.#spec.noCache,
          rm: true,
          forcerm: true,
          abortSignal: signal,
        } as object,
      );
      return await this.#take(answer, spool, steps);
    } catch (error) {
      // Why the context could not be sent says more than that it was cut off.
      throw broken ?? this.#understood(error, rewritten);
    } finally {
      context.destroy();
    }
  }

  #rewritten(): Rewritten {
    const { plan, images, uuid, operation } = this.#spec;
    const { names } = this.#place;
    const parent = plan.base && images.get(plan.base.name);
    return rewrite(plan, {
      images: new Map([...images].map(([name, image]) => [name, names.image(image.uuid)])),
      labels: names.labels('build', 'step'),
      resultLabels: {
        ...names.labels('image', uuid),
        [operationLabel]: operation,
        ...(parent ? { [parentLabel]: parent.uuid } : {}),
      },
    });
  }

  #context(own: ReadonlyMap<string, Buffer>): AsyncGenerator<Buffer> {
    const { context, ignore, progress } = this.#spec;
    return contextTar({
      folder: context,
      ignore,
      own,
      sent: total => {
        if (this.#steps?.steps.length === 0) progress('sending the context', total);
      },
    });
  }

  async #take(answer: NodeJS.ReadableStream, spool: Spool, steps: BuildSteps): Promise<BuildEvent | undefined> {
    let failed: BuildEvent | undefined;
    let rest = '';
    const decoder = new TextDecoder();
    for await (const chunk of answer) {
      const lines = (rest + decoder.decode(chunk as Buffer, { stream: true })).split('\n');
      rest = lines.pop()!;
      for (const line of lines) failed = (await this.#takeLine(line, spool, steps)) ?? failed;
    }
    return (await this.#takeLine(rest, spool, steps)) ?? failed;
  }

  async #takeLine(line: string, spool: Spool, told: BuildSteps): Promise<BuildEvent | undefined> {
    if (line.trim() === '') return undefined;
    const event = JSON.parse(line) as BuildEvent;
    const before = told.steps.length;
    const text = told.take(event);
    if (text !== '') {
      await spool.append(Buffer.from(text));
      this.#listener('stdout', spool.length);
    }
    const { steps, total } = told;
    if (steps.length > before)
      this.#spec.progress(`step ${steps.length} of ${total}: ${steps.at(-1)!.command}`, before, total);
    return event.error === undefined ? undefined : event;
  }

  async #made(): Promise<Omit<ImportedImage, 'digest'>> {
    const { uuid, plan, images: bases } = this.#spec;
    const { images, names } = this.#place;
    const built = await images.find(names.image(uuid));
    if (!built) throw new CoppiceError('build_failed', 'the daemon built the image and has none of its name');
    const base = plan.base && bases.get(plan.base.name);
    const below = base && imageData(base);
    const volumes = Object.keys(built.Config.Volumes ?? {});
    const copy = volumes.length > 0 ? await images.withoutVolumes(uuid) : undefined;
    const { id, layers } = copy ?? (await images.describe(withAlgorithm(built.Id)));
    const data: DockerImageData = { id, layers, parent: below?.id ?? null, ground: null };
    const own = below && !copy ? layers.slice(below.layers.length) : layers;
    return {
      data,
      config: configOf(await images.inspect(id)),
      size: own.reduce((sum, layer) => sum + layer.size, 0),
      notes: copy
        ? [
            `The Dockerfile declares volumes (${volumes.join(', ')}), whose content no image would keep: this one has none.`,
          ]
        : [],
    };
  }

  /** The daemon stops by itself when nobody listens any more; what it was at must not stay. */
  async #takeBack(): Promise<void> {
    const { images, names, log } = this.#place;
    try {
      const container = this.#steps?.container;
      if (container !== undefined) await this.#removeStep(container).catch(unlessGone);
      await images.remove(names.image(this.#spec.uuid));
    } catch (error) {
      log(`docker: what a build left stays until the next start: ${(error as Error).message}`);
    }
  }

  /** Its number was read out of text, so it goes only where it is one of ours, of a build. */
  async #removeStep(id: string): Promise<void> {
    const { connection, names } = this.#place;
    const container = (await connection.daemon()).api.getContainer(id);
    const { Labels: labels } = (await container.inspect()).Config;
    if (labels?.[homeLabel] === names.home && labels[kindLabel] === 'build')
      await container.remove({ force: true, v: true });
  }

  /** What the images that it stands on have done when they are built upon. */
  async #triggers(): Promise<string[]> {
    const { plan, images: ours } = this.#spec;
    const { images, names } = this.#place;
    const bases = plan.stages.flatMap(({ base }) => (typeof base === 'number' ? [] : [base]));
    const triggers: string[] = [];
    for (const { name, platform } of bases) {
      // Of another platform: only the daemon will know which it is.
      if (platform || name === 'scratch') continue;
      const image = ours.get(name);
      triggers.push(...(await images.triggers(image ? names.image(image.uuid) : name)));
    }
    const { confined } = this.#spec;
    const reach = confined === undefined ? undefined : reachOfTriggers(triggers);
    if (reach) throw refuseReach(reach, confined!);
    return triggers;
  }

  /** What the daemon does not take of the Dockerfile it tells at once, with the number of a line. */
  #understood(error: unknown, { origin }: Rewritten): unknown {
    const { statusCode, message } = error as { statusCode?: number; message: string };
    if (statusCode === undefined || statusCode === 404) return error;
    const said = message.replace(/^\(HTTP code \d+\) [^-]*- /, '').trim();
    const placed = said.replace(/\bline (\d+)/, (_all, line: string) => `line ${origin(Number(line))}`);
    return new CoppiceError('build_failed', placed, { field: 'dockerfile' });
  }
}

function unlessGone(error: { statusCode?: number }): void {
  if (error.statusCode !== 404 && error.statusCode !== 409) throw error;
}

/** A name for our Dockerfile that the context does not have. Always the same, or nothing would ever be in the daemon's cache. */
function freeName(context: string): string {
  for (let number = 1; ; number++) {
    const name = `.coppice-${number}.dockerfile`;
    if (!existsSync(path.join(context, name))) return name;
  }
}

/**
 * What tells the daemon that our Dockerfile is none of the context's files. Podman has a name of its own for that; Docker reads
 * it out of `.dockerignore`, which therefore, where it is itself a file of the context, has a line more.
 */
function ignoreFile(name: string, { context, ignore }: BuildSpec, podman: boolean): [name: string, content: Buffer] {
  const alone = (file: string): [string, Buffer] => [file, Buffer.from(`${file}\n${name}\n`)];
  if (podman) return alone('.containerignore');
  const own = ignore.leavesOut('.dockerignore') ? undefined : readIgnoreFile(context);
  return own === undefined
    ? alone('.dockerignore')
    : ['.dockerignore', Buffer.from(`${own.replace(/\n?$/, '\n')}${name}\n`)];
}
