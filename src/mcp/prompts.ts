import { ErrorCode, type GetPromptResult, McpError, type Prompt } from '@modelcontextprotocol/sdk/types.js';

interface PromptArgument {
  readonly name: string;
  readonly description: string;
  readonly required?: true;
}

type Given = Readonly<Record<string, string>>;

export interface PromptText {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly arguments: readonly PromptArgument[];
  readonly text: (given: Given) => string;
}

const image: PromptArgument = {
  name: 'image',
  description: 'Image to start from: UUID, tag:NAME, branch:NAME or host:',
};
const source: PromptArgument = { name: 'source', description: 'Folder to sync; the workspace when left out' };

const steps = (...lines: readonly string[]): string => lines.map((line, index) => `${index + 1}. ${line}`).join('\n');
const fromImage = (given: Given): string =>
  given.image
    ? `Start from ${given.image}.`
    : 'Look with list_images for an image that fits; if none does, import_image (host: needs no download).';
const sync = (given: Given, destination: string): string =>
  `rsync {"source":${JSON.stringify(given.source || '.')},"destination":"${destination}"} once, and use its directory_state_id for every run.`;

/** Beginnings for the usual tasks, as a person picks them in a client. */
export const prompts: readonly PromptText[] = [
  {
    name: 'prepare-environment',
    title: 'Prepare an environment',
    description: 'An image with everything a project needs, tagged to come back to',
    arguments: [
      { name: 'needs', description: 'What it shall have: languages, packages, tools', required: true },
      image,
      { name: 'tag', description: 'Name for the finished image' },
    ],
    text: given =>
      `Prepare a sandbox image with: ${given.needs}.\n${steps(
        fromImage(given),
        'Install with run and `steps`, one thing a step, timeout 600. Each step is an image; when one fails, fix it and go on from the image before.',
        'Show that it works: run the tools with --version.',
        `Tag the last image ${given.tag ? `${given.tag} with set_tag` : 'with a name that says what is in it'}, and report its UUID.`,
      )}`,
  },
  {
    name: 'run-python',
    title: 'Run Python',
    description: 'Python code or a script in a sandbox',
    arguments: [{ name: 'code', description: 'Code, or the path of a script', required: true }, image],
    text: given =>
      `Run this Python in a Coppice sandbox:\n\n${given.code}\n\n${steps(
        fromImage(given),
        'A script of the workspace: rsync its folder and run it with the directory_state_id. Code: give it to `python3 -` as stdin.',
        'Missing packages: install them in a kept run (disposable:false) first, then run from result_image.',
        'Report the output; on failure what stderr says and the fix you would make.',
      )}`,
  },
  {
    name: 'run-shell',
    title: 'Run a shell command',
    description: 'One command in a fresh sandbox',
    arguments: [{ name: 'command', description: 'The command line', required: true }, image],
    text: given =>
      `Run this in a Coppice sandbox: ${given.command}\n${steps(
        fromImage(given),
        'run it. Keep the result with disposable:false only if something goes on from it.',
        'Report exit code and output; when output was cut, read on with read_output.',
      )}`,
  },
  {
    name: 'sync-and-run',
    title: 'Sync a folder and run in it',
    description: 'The workspace’s files in a sandbox, and a command on them',
    arguments: [{ name: 'command', description: 'The command line', required: true }, source, image],
    text: given =>
      `Run \`${given.command}\` on the project’s files in a Coppice sandbox.\n${steps(
        fromImage(given),
        sync(given, '/app'),
        'run with cwd:"/app". Sync again only after files have changed.',
        'If the command changes files that the person wants back: run it with disposable:false, then apply with dry_run:true, then apply.',
      )}`,
  },
  {
    name: 'install-packages',
    title: 'Install packages',
    description: 'Packages into an image, kept for the runs to come',
    arguments: [
      { name: 'packages', description: 'Names, as the package manager takes them', required: true },
      image,
      { name: 'tag', description: 'Name for the image' },
    ],
    text: given =>
      `Install into a Coppice image: ${given.packages}.\n${steps(
        fromImage(given),
        'Find out which package manager it has (apt-get, apk, dnf, pip, npm). apt and dpkg do not work in host: images; use pip, npm or a registry image there.',
        'run the install with disposable:false and timeout 600; index update and install as two `steps`.',
        `Check it in a run from result_image${given.tag ? `, then set_tag it ${given.tag}` : ''}. Report the UUID.`,
      )}`,
  },
  {
    name: 'parallel-tasks',
    title: 'Run tasks in parallel',
    description: 'Several commands at once from one image, compared',
    arguments: [{ name: 'tasks', description: 'The commands, or what to vary', required: true }, image, source],
    text: given =>
      `Run these side by side in Coppice sandboxes: ${given.tasks}\n${steps(
        fromImage(given),
        `If they need files: ${sync(given, '/app')}`,
        'Start each with run and wait:false, all from the same image, so that they are siblings.',
        'wait_operations once with all ids (mode "any" with cancel_remaining:true if only the first success counts).',
        'Compare exit codes, times and output in a table. Keep only what is worth going on from.',
      )}`,
  },
  {
    name: 'build-project',
    title: 'Build a project',
    description: 'Build in a sandbox and bring the artifact home',
    arguments: [
      { name: 'command', description: 'The build command', required: true },
      { name: 'artifact', description: 'Path of what it makes, inside or relative to the project' },
      source,
      image,
    ],
    text: given =>
      `Build the project with \`${given.command}\` in a Coppice sandbox.\n${steps(
        fromImage(given),
        sync(given, '/app'),
        'run it with cwd:"/app", disposable:false and a timeout that fits (600).',
        'On failure read stderr, correct the cause, sync again if files changed, and build again from the same image.',
        `download ${given.artifact || 'the artifact'} from result_image (executable:true for programs) and say where it lies.`,
      )}`,
  },
  {
    name: 'debug-failure',
    title: 'Debug a failure',
    description: 'Why an operation failed, and a way on from the last good image',
    arguments: [{ name: 'operation_id', description: 'The operation, op-…; the last failed one when left out' }],
    text: given =>
      `Find out why ${given.operation_id || 'the last failed operation (list_operations {"status":"FAILED","limit":1})'} failed.\n${steps(
        'get_operation; read_output with stream:"stderr" and tail:8000 when the end was cut.',
        'If its image was kept (result_image is not the image it started from), look into it: coppice://image/{uuid}/ls/… and …/read/…, or disposable runs from it.',
        'lineage of that image: its parent is the last state that worked.',
        'Try the fix in a run from the parent; keep it with disposable:false once it works.',
        'Report cause, fix, and the image to go on from.',
      )}`,
  },
  {
    name: 'inspect-image',
    title: 'Inspect an image',
    description: 'What is in an image and where it came from',
    arguments: [{ ...image, description: 'The image: UUID, tag:NAME or branch:NAME', required: true }],
    text: given =>
      `Tell me what is in image ${given.image}.\n${steps(
        'get_image: configuration and sizes. lineage: how it came to be.',
        'Look at folders by the resource coppice://image/{uuid}/ls/{path}; nothing is started for that.',
        'Which system and tools: run {"command":"cat /etc/os-release; command -v python3 node gcc git","network":"none"}.',
        'Sum up in a few lines: base, what was installed, what each step changed.',
      )}`,
  },
  {
    name: 'multi-stage-build',
    title: 'Build in stages',
    description: 'Build in a full image, ship from a small one',
    arguments: [
      { name: 'build', description: 'The build command', required: true },
      { name: 'artifact', description: 'What the build makes: path inside', required: true },
      image,
      { name: 'target', description: 'Image that the artifact goes into' },
      source,
    ],
    text: given =>
      `Build in stages: \`${given.build}\`, then ${given.artifact} into ${given.target || 'a small base image'}.\n${steps(
        'If the project has a Dockerfile with these stages and the tool build is there, build {"context":…} does all of it in Docker; else go on.',
        fromImage(given),
        sync(given, '/src'),
        'Stage one: run the build with cwd:"/src", disposable:false, timeout 600.',
        `download ${given.artifact} from its result_image into the workspace, then upload {"path":…}.`,
        `Stage two: run from ${given.target || 'the small image'} with files:{"/usr/local/bin/…":uuid}, disposable:false, and check that the program starts.`,
        'Tag the result; report both images.',
      )}`,
  },
];

export const listPrompts = (): Prompt[] =>
  prompts.map(({ name, title, description, arguments: taken }) => ({
    name,
    title,
    description,
    arguments: taken.map(argument => ({ ...argument, required: argument.required === true })),
  }));

export function getPrompt(name: string, given: Given = {}): GetPromptResult {
  const prompt = prompts.find(candidate => candidate.name === name);
  if (!prompt) throw new McpError(ErrorCode.InvalidParams, `no prompt ${name}`);
  const missing = prompt.arguments.find(argument => argument.required && !given[argument.name]?.trim());
  if (missing) throw new McpError(ErrorCode.InvalidParams, `${name} needs ${missing.name}: ${missing.description}`);
  const text = `${prompt.text(given)}\n\nGuides: get_guide, or coppice://guide/workflow.`;
  return { description: prompt.description, messages: [{ role: 'user', content: { type: 'text', text } }] };
}
