import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inRelease, missingPath, type Paths } from '../../src/domain/release.ts';
import { appSpec } from '../fakes/app-spec.ts';

const program = { script: '/srv/current/app.js', cwd: '/srv/current' };

/** /srv/current leads to release 2. @param there what there is. */
function paths(...there: readonly string[]): Paths {
  const real = (path: string): string => path.replace('/srv/current', '/srv/releases/2');
  return {
    resolveLinks: (path) => (['/srv', ...there].includes(real(path)) ? real(path) : null),
    readLink: (path) => (path === '/srv/current' ? 'releases/2' : null),
  };
}

const missing = (spec: ReturnType<typeof appSpec>, at: Paths) => missingPath(inRelease(spec, at.resolveLinks), at);

describe('what is not there', () => {
  const link = { path: '/srv/current', target: 'releases/2' };

  test('is nothing where all is there', () => {
    const all = paths('/srv/releases/2', '/srv/releases/2/app.js');
    assert.equal(missing(appSpec({ program }), all), null);
  });

  test('is the working directory, by the link that leads nowhere', () => {
    const found = missing(appSpec({ program }), paths());
    assert.deepEqual(found, { what: 'working directory', path: '/srv/current', link });
  });

  test('is the script, by the link that it is looked for behind', () => {
    const found = missing(appSpec({ program }), paths('/srv/releases/2'));
    assert.deepEqual(found, { what: 'script', path: '/srv/current/app.js', link });
    const elsewhere = appSpec({ program: { ...program, script: '/srv/gone/app.js' } });
    const other = missing(elsewhere, paths('/srv/releases/2'));
    assert.deepEqual(other, { what: 'script', path: '/srv/gone/app.js', link: null });
  });

  test('is no command line', () => {
    const shell = { script: '/bin/true --x', exec: '/bin/sh', runtime: 'other', interpreterArgs: ['-c'] } as const;
    assert.equal(missing(appSpec({ program: { ...program, ...shell } }), paths('/srv/releases/2')), null);
  });
});
