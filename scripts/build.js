// Bundles src/ into dist/: a process that loads 10 files starts in half the CPU time of one that loads 700. Run it by `npm run build`.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const folder = join(root, 'dist/cli')

// A module that imports anything of node:http asks it for all that it exports, and its WebSocket is the whole of undici: 11 MB of each process, and 40 ms of its start, for what nobody uses.
const httpByName = {
  name: 'http-by-name',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:http$/ }, ({ kind }) =>
      kind === 'import-statement' ? { path: 'http', namespace: 'by-name' } : undefined,
    )
    onLoad({ filter: /^http$/, namespace: 'by-name' }, () => ({
      contents: `export const { ${valuesOf(http)} } = process.getBuiltinModule('node:http')`,
    }))
  },
}

const { metafile, outputFiles } = await build({
  absWorkingDir: root,
  // The command line, what the health check asks, and the programs of its threads: all in one folder, since they find each other beside themselves.
  entryPoints: [
    'src/cli/main.ts',
    'src/cli/admin-address.ts',
    'src/runtime/revocation/revocation-thread.ts',
    'src/runtime/users/users-thread.ts',
    'src/auth/passwords/hash-worker.ts',
    'src/auth/plugins/module-worker.ts',
  ],
  outdir: folder,
  entryNames: '[name]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node24',
  // For the libraries that are CommonJS.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url)",
  },
  inject: [join(root, 'scripts/globals.js')],
  plugins: [httpByName],
  metafile: true,
  write: false,
  logLevel: 'warning',
})

const files = new Map(outputFiles.map(({ path, text }) => [basename(path), inOneByte(text)]))
files.set('LICENSES.txt', licenses(Object.keys(metafile.inputs)))
mkdirSync(folder, { recursive: true })
const present = new Set(readdirSync(folder))
// What did not change is left alone: a gateway may be starting from it.
for (const [name, text] of files) {
  if (!present.delete(name) || readFileSync(join(folder, name), 'utf8') !== text)
    writeFileSync(join(folder, name), text)
}
for (const name of present) rmSync(join(folder, name), { recursive: true })

/** V8 keeps a text in two bytes for each character where one of all, if only in a comment, is beyond Latin-1; esbuild escapes them everywhere else. */
function inOneByte(text) {
  return text.replace(/^ *(?:\/[/*]|\*).*$/gm, (comment) => comment.replace(/[\u0100-\uffff]/g, '?'))
}

/** The names of what an object has without a getter. */
function valuesOf(object) {
  return Object.entries(Object.getOwnPropertyDescriptors(object))
    .filter(([, descriptor]) => 'value' in descriptor)
    .map(([name]) => name)
}

/** The words under which the bundled libraries may be handed on. */
function licenses(inputs) {
  const packages = inputs.map((path) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]).filter(Boolean)
  return [...new Set(packages)]
    .sort()
    .map((path) => {
      const { name, version, license } = JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8'))
      const file = readdirSync(join(root, path)).find((each) => /^(licen[cs]e|copying)/i.test(each))
      const words = file ? readFileSync(join(root, path, file), 'utf8') : `License: ${license}\n`
      return `${name} ${version}\n\n${words}`
    })
    .join(`\n${'-'.repeat(78)}\n\n`)
}
