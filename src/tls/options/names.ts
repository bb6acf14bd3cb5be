// Host names, in the form in which they are compared.

/** In lower case, without a dot at the end. */
export function normalName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}
