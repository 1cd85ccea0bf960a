import type { Problem } from '../errors.ts'

/** Finds variables that would change Node's behaviour behind the configuration's back. */
export function unsafeEnvironment(env: NodeJS.ProcessEnv): readonly Problem[] {
  if (env.NODE_TLS_REJECT_UNAUTHORIZED !== '0') return []
  return [
    {
      path: 'NODE_TLS_REJECT_UNAUTHORIZED',
      source: 'environment',
      message:
        'is 0, which switches off all verification; unset it, and use unsafe_skip_verify for the one service that is meant',
    },
  ]
}
