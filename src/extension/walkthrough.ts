import { container } from './contributions.ts';

/** Puts a text into package.nls.json, and answers how package.json names it. */
export type Text = (key: string, value: string) => string;

/** The first steps, each done by a click and ticked off by what was done. */
export function walkthrough(text: Text) {
  const step = (
    id: string,
    title: string,
    description: string,
    image: string,
    completionEvents: readonly string[],
  ) => ({
    id,
    title: text(`walkthrough.${id}`, title),
    description: text(`walkthrough.${id}.description`, description),
    media: { svg: `media/walkthrough/${image}.svg`, altText: text(`walkthrough.${id}.alt`, title) },
    completionEvents,
  });
  return {
    id: 'start',
    title: text('walkthrough', 'Get started with Coppice'),
    description: text('walkthrough.description', 'Sandboxes that branch: every mistake is one step back.'),
    icon: container.icon,
    steps: [
      step(
        'image',
        'Get an image',
        'An image is a snapshot that code runs in. “host:” is this machine’s own tools, copy-on-write, without a download; any image of a registry does as well.\n[Import host:](command:coppice.importHost)\n[Choose another](command:coppice.importImage)',
        'image',
        ['onCommand:coppice.importHost', 'onCommand:coppice.importImage'],
      ),
      step(
        'run',
        'Run something in a sandbox',
        'Open a file, or choose a script. Your folder is there as it is now; what the run writes never reaches it.\n[Run Script…](command:coppice.runScript)\n[Run Active File](command:coppice.runInSandbox)',
        'run',
        ['onCommand:coppice.runInSandbox', 'onCommand:coppice.runScript', 'onCommand:coppice.runCommand'],
      ),
      step(
        'keep',
        'Keep a result',
        'Install something and keep it: the result is a new image and the head of your branch, so the next run has it.\n[Open a Shell](command:coppice.shell)\n[Run Active File and Keep](command:coppice.runInSandboxAndKeep)',
        'keep',
        ['onCommand:coppice.runInSandboxAndKeep', 'onCommand:coppice.shell'],
      ),
      step(
        'back',
        'Go back',
        'Lineage shows where every image came from. Roll the branch back to any of them, and forward again: nothing is deleted.\n[Show Lineage](command:coppice.lineage.focus)\n[Roll Back…](command:coppice.rollback)',
        'back',
        ['onView:coppice.lineage', 'onCommand:coppice.rollback'],
      ),
      step(
        'check',
        'If something fails',
        'The doctor says what this machine can do, what is missing and how to mend it, and makes a trial run.\n[Check the Engine](command:coppice.doctor)',
        'check',
        ['onCommand:coppice.doctor'],
      ),
    ],
  };
}
