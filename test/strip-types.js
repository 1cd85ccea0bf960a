// Jest transform: TypeScript is erased in place by Node itself, so positions in stack traces stay true without source maps.
import { stripTypeScriptTypes } from 'node:module'

export default {
  process: (source) => ({ code: stripTypeScriptTypes(source, { mode: 'strip' }) }),
}
