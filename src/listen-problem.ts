import { ConfigError } from './errors.ts'

/** Why an address cannot be listened on, as a problem of the setting that names it. */
export function listenProblem(setting: string, host: string, port: number, error: NodeJS.ErrnoException): ConfigError {
  const remedy = REMEDIES[error.code ?? ''] ?? 'choose another address'
  const message = `cannot listen on ${host}:${port} (${error.code ?? error.message}): ${remedy}`
  return new ConfigError([{ path: setting, message }])
}

const REMEDIES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'something else listens there already; stop it or choose another port',
  EACCES: 'this user may not listen there; choose a port above 1023 or give the process CAP_NET_BIND_SERVICE',
  EADDRNOTAVAIL: 'this machine has no such address',
}
