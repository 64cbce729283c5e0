import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { isEcosystemPath, loadEcosystem, parseEcosystem } from '../../src/config/ecosystem.ts';
import { tempFolder } from '../fakes/temp-folder.ts';

const apps = [
  { name: 'api', script: 'api.js' },
  { script: 'job.js', env_production: { A: 1 } },
];
const APPS = JSON.stringify({ apps });
const LIST = JSON.stringify(apps);
const invalid = (message: RegExp) => ({ code: 'CONFIG_INVALID', message });

describe('isEcosystemPath', () => {
  for (const path of ['eco.json', 'a/eco.yaml', 'eco.yml', 'ecosystem.config.js', 'x.config.cjs', '/y.config.mjs'])
    test(`${path} is one`, () => assert.equal(isEcosystemPath(path), true));
  for (const path of ['app.js', 'config.js', 'api', '0', 'app.config.ts', 'eco.json.js'])
    test(`${path} is none`, () => assert.equal(isEcosystemPath(path), false));
});

describe('a file of apps', () => {
  const kinds: readonly (readonly [file: string, content: string])[] = [
    ['eco.config.js', `module.exports = ${APPS};`],
    ['computed.config.js', `const apps = ${LIST}; module.exports = { apps };`],
    ['eco.config.cjs', `module.exports = ${APPS};`],
    ['list.config.cjs', `module.exports = ${LIST};`],
    ['pm2.config.cjs', `module.exports = { pm2: ${LIST} };`],
    ['transpiled.config.cjs', `exports.__esModule = true; exports.default = ${APPS};`],
    ['eco.config.mjs', `export default ${APPS};`],
    ['named.config.mjs', `export const apps = ${LIST};`],
    ['awaited.config.mjs', `export default await Promise.resolve(${APPS});`],
    ['eco.json', APPS],
    ['list.json', LIST],
    ['eco.yaml', 'apps:\n  - name: api\n    script: api.js\n  - script: job.js\n    env_production:\n      A: 1\n'],
    ['eco.yml', '- name: api\n  script: api.js\n- { script: job.js, env_production: { A: 1 } }\n'],
  ];
  for (const [file, content] of kinds)
    test(`${file}: ${content.slice(0, 40).replaceAll('\n', ' ')}`, async (t) => {
      const folder = tempFolder(t);
      const path = join(folder, file);
      writeFileSync(path, content);
      const ecosystem = await loadEcosystem(path);
      assert.deepEqual(ecosystem, {
        folder,
        apps: [
          { where: `${file}, app "api"`, options: { name: 'api', script: 'api.js' }, environments: {}, warnings: [] },
          {
            where: `${file}, app 2`,
            options: { script: 'job.js' },
            environments: { production: { A: '1' } },
            warnings: [],
          },
        ],
      });
    });

  test('may hold one app, with or without a frame', async (t) => {
    const folder = tempFolder(t);
    const alone = { script: 'api.js' };
    for (const [name, content] of Object.entries({ alone, framed: { apps: alone }, cmd: { cmd: 'api.js' } })) {
      const path = join(folder, `${name}.json`);
      writeFileSync(path, JSON.stringify(content));
      assert.deepEqual(
        (await loadEcosystem(path)).apps.map(({ options }) => options),
        [alone],
      );
    }
  });

  test('keeps the warnings of its apps', () => {
    const { apps } = parseEcosystem('[{"script":"a.js","watch":true}]', 'stdin', '/srv');
    assert.deepEqual(apps[0]?.warnings, ['stdin, app 1: watch is not supported yet, and ignored']);
  });
});

describe('a file that cannot be used', () => {
  const broken: readonly (readonly [file: string, content: string, message: RegExp])[] = [
    [
      'syntax.config.cjs',
      'module.exports = {\n  apps: [,\n',
      /^syntax\.config\.cjs cannot be loaded: .*syntax\.config\.cjs:\d/s,
    ],
    [
      'throws.config.cjs',
      'throw new Error("no database");',
      /^throws\.config\.cjs cannot be loaded: Error: no database/,
    ],
    ['needs.config.cjs', 'require("not-installed");', /^needs\.config\.cjs cannot be loaded: .*not-installed/s],
    [
      'rejects.config.mjs',
      'await Promise.reject(new Error("late"));',
      /^rejects\.config\.mjs cannot be loaded: Error: late/,
    ],
    ['syntax.json', '{ "apps": [ }', /^syntax\.json cannot be read: .*JSON/],
    ['syntax.yaml', 'apps: [\n', /^syntax\.yaml cannot be read: .*, at line 2, column 1$/],
    ['deep.yaml', `apps: ${'{ a: '.repeat(501)}`, /^deep\.yaml cannot be read: more than 500 brackets are open/],
    ['deep.json', `${'['.repeat(200)}${']'.repeat(200)}`, /^deep\.json cannot be read: it is nested more than 100 /],
    ['throws.cjs.config.cjs', 'module.exports = { get apps() { throw new Error("no"); } };', / cannot be read: no$/],
    [
      'circle.config.cjs',
      'const a = []; a.push(a); module.exports = a;',
      / cannot be read: it is nested more than 100 /,
    ],
    ['long.json', `[{"${'x'.repeat(9999)}":1}]`, /^long\.json, app 1: there is no option "x{60}\.\.\."$/],
    ['empty.json', '{}', /^empty\.json: expected a list "apps" with at least one app/],
    ['none.json', '{"apps":[]}', /^none\.json: expected a list "apps"/],
    ['null.json', 'null', /^null\.json: expected a list "apps"/],
    ['text.yaml', 'just text', /^text\.yaml: expected a list "apps"/],
    ['empty.yaml', '', /^empty\.yaml: expected a list "apps"/],
    ['string.json', '{"apps":["api.js"]}', /^string\.json, app 1: expected an object of options, got "api\.js"/],
    ['key.json', '[{"name":"api","scirpt":"a.js"}]', /^key\.json, app "api": there is no option "scirpt"/],
    ['type.json', '[{"script":"a.js"},{"script":5}]', /^type\.json, app 2: script: expected a text, got 5/],
  ];
  for (const [file, content, message] of broken)
    test(`${file}: ${content.slice(0, 40).replaceAll('\n', ' ')}`, async (t) => {
      const path = join(tempFolder(t), file);
      writeFileSync(path, content);
      await assert.rejects(loadEcosystem(path), invalid(message));
    });

  test('because it is not there, or is a folder', async (t) => {
    const folder = join(tempFolder(t), 'eco.json');
    await assert.rejects(loadEcosystem(folder), invalid(/^there is no file \/.*eco\.json/));
    mkdirSync(folder);
    await assert.rejects(loadEcosystem(folder), invalid(/^there is no file/));
  });

  test('on stdin', () => {
    assert.throws(() => parseEcosystem('nonsense', 'stdin', '/srv'), invalid(/^stdin cannot be read: /));
  });
});
