// Writes docs/api, a page for each export of `sluice` and `sluice/node`, and checks that every export has a docstring. Started by ../api-docs.mjs.
//
// typedoc 0.28 uses the JavaScript API of the compiler, which TypeScript 7.0 does not have. Therefore this folder has TypeScript 6.
// When typedoc supports TypeScript 7.1, these packages can move to the project's own devDependencies.

import { join } from 'node:path';
import { Application, ReflectionKind } from 'typedoc';
import { findFaults } from './check.mjs';

const root = join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '../..');

const app = await Application.bootstrapWithPlugins({
  entryPoints: ['src/index.ts', 'src/node/index.ts'].map((file) => join(root, file)),
  tsconfig: join(root, 'src/tsconfig.json'),
  plugin: ['typedoc-plugin-markdown'],
  out: join(root, 'docs/api'),
  name: 'sluice',
  readme: 'none',
  disableSources: true,
  excludeInternal: true,
  excludePrivate: true,
  excludeProtected: true,
  excludeExternals: true,
  preservedTypeAnnotationTags: ['@throws'],
  validation: { notExported: false, invalidLink: true, notDocumented: false },
});

const project = await app.convert();
if (project === undefined) process.exit(1);

// The Markdown plugin leaves out the classes that `@throws {TypeError}` names.
for (const { comment } of project.getReflectionsByKind(ReflectionKind.All)) {
  for (const tag of comment?.blockTags ?? []) {
    if (tag.typeAnnotation === undefined) continue;
    const classes = tag.typeAnnotation.replace(/^\{|\}$/g, '');
    tag.content.unshift({ kind: 'code', text: `\`${classes}\`` }, { kind: 'text', text: ' ' });
  }
}

app.validate(project);
const faults = findFaults(project);
for (const fault of faults) console.error(`api-docs: ${fault}`);
await app.generateOutputs(project);
if (app.logger.hasWarnings() || app.logger.hasErrors() || faults.length > 0) process.exit(1);
