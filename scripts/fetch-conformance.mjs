// Compares our Request, Response and Headers with those of runtimes, in the statements of test/http/fetch/conformance. scripts/packed.mjs does the same with
// the packed library, on all supported runtimes.
//
//   npm run build
//   node scripts/fetch-conformance.mjs                    this Node
//   node scripts/fetch-conformance.mjs bun 'deno run -A'  these programs
//   node scripts/fetch-conformance.mjs --all node bun     also prints statements that hold for neither
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const suite = fileURLToPath(new URL('../build/test/http/fetch/conformance/main.js', import.meta.url));
const options = process.argv.slice(2).filter((argument) => argument === '--all');
const programs = process.argv.slice(2).filter((argument) => argument !== '--all');

let failed = false;
for (const program of programs.length > 0 ? programs : [process.execPath]) {
  console.log(program);
  const [command, ...args] = program.split(' ');
  const { status, error } = spawnSync(command, [...args, suite, ...options], { stdio: 'inherit', timeout: 60_000 });
  if (error) console.error(`fetch-conformance: ${program}: ${error.message}`);
  failed ||= status !== 0;
}
process.exit(failed ? 1 : 0);
