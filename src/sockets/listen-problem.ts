import { ConfigError } from '../errors.ts'

/** Why an address cannot be listened on, as a problem of the setting that names it. */
export function listenProblem(setting: string, where: string, error: NodeJS.ErrnoException): ConfigError {
  const remedies = where.startsWith('unix:') ? SOCKET_REMEDIES : REMEDIES
  const remedy = remedies[error.code ?? ''] ?? 'choose another address'
  const message = `cannot listen on ${where} (${error.code ?? error.message}): ${remedy}`
  return new ConfigError([{ path: setting, message }])
}

const REMEDIES: Readonly<Record<string, string>> = {
  EADDRINUSE:
    'something else listens there already, perhaps on [::], which takes IPv4 too; stop it or choose another port',
  EACCES: 'this user may not listen there; choose a port above 1023 or give the process CAP_NET_BIND_SERVICE',
  EADDRNOTAVAIL: 'this machine has no such address',
  EAFNOSUPPORT: 'IPv6 is switched off on this machine; choose an address of IPv4, such as 0.0.0.0 in place of [::]',
}

const SOCKET_REMEDIES: Readonly<Record<string, string>> = {
  // Of workers that share a socket the next one finds no file.
  ENOENT: 'somebody has removed the file of a socket that is in use; restart the gateway',
  EADDRINUSE:
    'a running program listens there, or the file is no socket; stop it, remove the file or choose another path',
  // libuv reports EACCES for ENOENT too.
  EACCES: 'its folder is missing, or this user may not make a file in it; make the folder and give it to the user',
}
