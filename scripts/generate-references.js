// Writes what comes from the configuration's schema: the editors' JSON Schema, the default file and the reference. Run it by `npm run docs`.
import { writeFileSync } from 'node:fs'
import { GENERATED } from '../src/config/references/references.ts'

for (const [path, content] of Object.entries(GENERATED)) {
  writeFileSync(new URL(`../${path}`, import.meta.url), content())
  console.log(`wrote ${path}`)
}
