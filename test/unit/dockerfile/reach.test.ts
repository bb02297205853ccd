import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { planBuild } from '../../../src/runtimes/dockerfile/buildPlan.ts';
import { reachOf, reachOfTriggers } from '../../../src/runtimes/dockerfile/reach.ts';

const $ = '$';
const lineOf = (...lines: readonly string[]) =>
  reachOf(planBuild(lines.join('\n'), { target: undefined, args: { URL: 'http://127.0.0.1/' } }))?.line;

describe('what a build does by the machine’s own network', () => {
  it('is to fetch what ADD names, however it is written', () => {
    for (const add of [
      'ADD http://127.0.0.1:1/x /x',
      'add --chown=1:2 https://a/x /x',
      'ADD a ftp://a/x /x',
      'ADD git@host:a/b.git /x',
      'ADD git://host/b.git#main /x',
      'ADD https://host/b.git#main /x',
      'ADD github.com/a/b /x',
      'ADD "http://a/x" /x',
      'ADD h"tt"p\\://a/x /x',
      'ADD ht\\\ntp://a/x /x',
      'ADD ["http://a/x", "/x"]',
      'ADD ["a","http://a/x","/x"]',
      'ADD ["\\u0068ttp://a/x","/x"]',
      'ADD ["\\u0068ttp://a/x","/x"] junk',
      `ADD ${$}URL /x`,
      `ADD ${$}{URL} /x`,
      `ADD ${$}{NONE:-http://a}/x /x`,
      `ADD ht${$}{REST} /x`,
      `ADD http${$}{REST} /x`,
      `ADD ["${$}URL","/x"]`,
      `ADD ["${$}URL","/x"]junk`,
      'ONBUILD ADD http://a/x /x',
      'ONBUILD RUN --network=host true',
      'RUN --network=host true',
      'RUN --security=insecure true',
      'RUN --mount=type=bind,from=oci:/etc/x,target=/x true',
      `RUN --mount=type=bind,${$}MORE true`,
    ])
      assert.equal(lineOf('FROM a', 'ARG URL', add), 3, add);
    assert.equal(lineOf('FROM a', 'RUN x \\\u00A0', 'ADD http://a/x /x'), 3);
    assert.equal(lineOf('# syntax=x', '# escape=`', 'FROM a'), 2);
    assert.equal(lineOf('FROM --platform=linux/s390x a'), 1);
    assert.ok(reachOfTriggers(['RUN true', 'ADD http://a/x /x']));
  });

  it('is not what files of the context, stages and the build’s own network give', () => {
    assert.equal(
      lineOf(
        'FROM a AS One',
        'ARG V=1',
        `ADD ./${$}V dist/app-${$}V.tgz ${$}HOME/`,
        `ADD ["a b", "/x"]`,
        `ADD ["./a", "${$}HOME/"]`,
        'ADD repo.git /x',
        'COPY https.txt /x',
        'RUN wget http://a/x && echo ADD http://a/x',
        'RUN --network=none true',
        'RUN --mount=type=cache,target=/x --mount=type=bind,from=one,target=/y true',
        'LABEL url=http://a/x',
      ),
      undefined,
    );
    assert.equal(reachOfTriggers(['ADD . /app', 'RUN make']), undefined);
  });
});
