// A default export that is an application for Node: what it is called, and how it is told from a fetch function.

import { type ApplicationKind, applicationKind } from '../node/application.js';
import { propertyOf } from '../util/inspect.js';

/** An application for Node, for the option `node` of `serve`. */
export interface NodeExport {
  readonly kind: ApplicationKind;
  readonly application: object;
}

/**
 * A function may be one of `(req, res)` or of `(request, info)`: both have two parameters. It is one of `(req, res)` if its second parameter is called `res` or
 * `response`, as nearly always, and nothing else is. The command says what it has taken a function for.
 * @returns undefined for what is no such application, or has a `fetch` function
 */
export function nodeExportOf(exported: unknown): NodeExport | undefined {
  if (typeof propertyOf(exported, 'fetch') === 'function') return undefined;
  const kind = applicationKind(exported);
  if (kind === undefined || (kind === '(req, res) function' && !takesResponse(exported))) return undefined;
  return { kind, application: exported as object }; // or a function
}

/** Whether a function may be meant for `(req, res)`, although it is not taken for that: its second parameter has another name. */
export function isAmbiguous(exported: unknown): boolean {
  return typeof exported === 'function' && exported.length >= 2 && !takesResponse(exported);
}

function takesResponse(called: unknown): boolean {
  const source = Function.prototype.toString.call(called);
  // `function name(a, b)`, `async (a, b) =>`, `name(a, b) {`
  const [, parameters = ''] = /^[^(]*\(([^)]*)\)/.exec(source) ?? [];
  const [, second = ''] = parameters.split(',');
  return /^\s*_?(?:res|response)\s*$/.test(second);
}
