// What the docstrings of exports must have. Called by main.mjs.

import { ReflectionKind } from 'typedoc';

/** Words of which one must stand in the docstring of a number. */
const units =
  /millisecond|bytes?\b|\bport\b|status|\bmost\b|how many|number of|chances?\b|fewest|least|seed|requests a second|in order|power of two|seconds/i;

/** Classes of the fetch standard: their members are documented there, and the class's docstring links to it. */
const isStandard = (reflection) =>
  reflection.comment?.blockTags.some(({ tag, content }) => tag === '@see' && /whatwg\.org/.test(textOf(content)));

const textOf = (parts) => (parts ?? []).map(({ text }) => text).join('');
const summaryOf = (reflection) => textOf(reflection.comment?.summary);

/** Where the docstring of a member stands: its signatures have it if it has any. */
function documented(reflection) {
  const signatures = [reflection.signatures, reflection.getSignature, reflection.setSignature].flat().filter(Boolean);
  return signatures.length > 0 ? signatures : [reflection];
}

const isNumber = (type) =>
  type?.type === 'union' ? type.types.some(isNumber) : type?.type === 'intrinsic' && type.name === 'number';

function namesErrors(signature) {
  const hasTag = signature.comment?.blockTags.some(({ tag }) => tag === '@throws');
  return hasTag || /never throws/i.test(summaryOf(signature));
}

/** @returns {string[]} a line for each docstring that is missing or lacks something */
export function findFaults(project) {
  const faults = [];
  // The children of the project are the modules that users import from: `sluice` and `sluice/node`.
  for (const reflection of (project.children ?? []).flatMap(({ children }) => children ?? [])) {
    for (const each of documented(reflection)) {
      if (summaryOf(each) === '') faults.push(`${reflection.name} has no docstring`);
      else if (reflection.kind === ReflectionKind.Function && !namesErrors(each))
        faults.push(`${reflection.name}: expected @throws, or "Never throws" in the text`);
    }
    if (!isStandard(reflection)) for (const member of reflection.children ?? []) faults.push(...faultsOf(member));
  }
  return faults;
}

function faultsOf(member) {
  const { name, kind, parent } = member;
  // Symbols and the names of errors have their meaning from the language. Errors are made by the library.
  if (name === 'name' || name.startsWith('[') || member.inheritedFrom) return [];
  if (kind === ReflectionKind.Constructor && parent.name.endsWith('Error')) return [];
  const sites = documented(member);
  if (kind === ReflectionKind.Constructor && sites.every(({ parameters }) => !parameters?.length)) return [];
  const text = sites
    .flatMap(({ comment }) => [comment?.summary, ...(comment?.blockTags ?? []).map(({ content }) => content)])
    .map(textOf)
    .join('');
  if (text === '') return [`${parent.name}.${name} has no docstring`];
  if (kind === ReflectionKind.Property && isNumber(member.type) && !units.test(text))
    return [`${parent.name}.${name} is a number: expected its unit, or what it counts`];
  return [];
}
