/** Turns the written listeners into those that are used: one default server each, and passphrases read. */
import { isIP } from 'node:net'
import type { Problem } from '../../errors.ts'
import type { Slices } from '../../slices.ts'
import { readBounded } from '../bounded-file.ts'
import { findFile, looksLikePath, namedFile } from '../pem.ts'
import type { ListenAddress } from '../schema/addresses.ts'
import type { MappedUserConfig } from '../schema/authorization.ts'
import type { Written } from '../schema/config.ts'
import { Unfit } from '../schema/field.ts'
import type { ListenerConfig, WrittenListener } from '../schema/listeners.ts'
import { withNatsTls } from '../schema/nats-tls.ts'
import { checkServer, type ServerConfig, verifyClientOf, type WrittenServer } from '../schema/servers.ts'
import type { ServiceConfig } from '../schema/services.ts'
import { Secret } from '../secret.ts'
import { located, passes, type ResolveContext } from './context.ts'
import { reportOverlaps } from './listen-overlap.ts'

export function* resolveListeners(
  written: Written,
  services: readonly ServiceConfig[],
  context: ResolveContext,
): Slices<ListenerConfig[]> {
  const all = located<WrittenListener>(written.listeners).map((listener) => withNatsTls(listener, context))
  const listeners = all.map((listener) => ({ ...listener, listen: besideOthers(listener.listen, all) }))
  if (listeners.length === 0)
    context.report({ path: 'listeners', message: 'is empty; remove it to listen on 0.0.0.0:8443' })
  reportOverlaps(listeners, written.admin?.listen, context)
  // Without services nothing is served yet: such a file, like the default one, is only a start.
  const needsCertificate = written.certificates.length === 0 && services.length > 0
  const resolved: ListenerConfig[] = []
  for (const listener of listeners) {
    const written = located<WrittenServer>(listener.servers)
    if (written.length === 0)
      context.report({ path: `${listener.at}.servers`, message: 'is empty; remove it to have one server' })
    reportSharedNames(written, context)
    const chosen = defaultOf(written, context)
    const servers: ServerConfig[] = []
    for (const server of written) {
      servers.push(resolveServer(server, chosen, needsCertificate, context))
      yield
    }
    const { tls: _, ...settings } = listener
    resolved.push({ ...settings, servers })
  }
  return resolved
}

/** nginx's pair of `listen 443` and `listen [::]:443`: the second must leave IPv4 to the first. */
function besideOthers(listen: ListenAddress, all: readonly WrittenListener[]): ListenAddress {
  if (!listen || 'path' in listen || listen.host !== '::' || listen.port === 0) return listen
  const isTaken = all.some(({ listen: other }) => {
    return other && 'port' in other && other.port === listen.port && isIP(other.host) !== 6
  })
  return isTaken ? { ...listen, ipv6Only: true } : listen
}

function reportSharedNames(servers: readonly WrittenServer[], context: ResolveContext): void {
  const seen = new Map<string, string>()
  for (const { at, server_names: names = [] } of servers) {
    for (const [index, name] of names.entries()) {
      const other = seen.get(name)
      if (other === undefined) seen.set(name, at)
      else
        context.report({
          path: `${at}.server_names[${index}]`,
          message: `conflicting server name "${name}": ${other} has it too; keep one`,
        })
    }
  }
}

function defaultOf(servers: readonly WrittenServer[], context: ResolveContext): WrittenServer | undefined {
  const [chosen, ...others] = servers.filter((server) => server.default_server)
  for (const { at } of others) {
    context.report({
      path: `${at}.default_server`,
      message: `a duplicate default server: ${chosen?.at} is one already; keep one`,
    })
  }
  return chosen ?? servers[0]
}

function resolveServer(
  server: WrittenServer,
  chosen: WrittenServer | undefined,
  needsCertificate: boolean,
  context: ResolveContext,
): ServerConfig {
  const check = (each: WrittenServer): Problem[] => [
    ...checkServer(each),
    ...(isReachable(each, chosen) ? [] : [UNREACHABLE(each.at, chosen?.at)]),
    ...(needsCertificate && !each.ssl_reject_handshake && !each.ssl_certificate && !each.ssl_certificate_key
      ? [WITHOUT_CERTIFICATE(each.at)]
      : []),
  ]
  passes(server, check, context)
  const { ssl_password: password, ssl_password_file: file, default_server: _, ...settings } = server
  const ssl_passwords = [
    ...(password ? [password] : []),
    ...(file === undefined ? [] : readPasswords(file, server.at, context)),
  ]
  const users = located<MappedUserConfig>(settings.authorization.users)
  return {
    ...settings,
    ssl_verify_client: verifyClientOf(server),
    authorization: { ...settings.authorization, users, users_file: usersFileOf(server, context) },
    default_server: server === chosen,
    ssl_passwords,
  }
}

function isReachable(server: WrittenServer, chosen: WrittenServer | undefined): boolean {
  // nginx's `_` is a name that no client asks for.
  return server === chosen || server.default_server === true || server.server_names.some((name) => name !== '_')
}

/** Refused: whom its demands are meant for would meet those of the default server. */
const UNREACHABLE = (at: string, chosen: string | undefined): Problem => ({
  path: `${at}.server_names`,
  message: `has no name, and ${chosen} is the default server, so no client reaches this one; name it, or set default_server: on`,
})

const WITHOUT_CERTIFICATE = (at: string): Problem => ({
  path: `${at}.ssl_certificate`,
  message:
    'is missing, and there are no certificates either; set ssl_certificate and ssl_certificate_key (SALLYPORT_SSL_CERTIFICATE, SALLYPORT_SSL_CERTIFICATE_KEY)',
})

function usersFileOf({ at, authorization }: WrittenServer, context: ResolveContext): string | undefined {
  const written = authorization.users_file
  if (written === undefined) return undefined
  const path = `${at}.authorization.users_file`
  try {
    return namedFile(written, context.pems, 'plain', authorization.users_file_max_size)
  } catch (error) {
    if (!(error instanceof Unfit)) throw error
    context.report({ path, message: error.message })
    return undefined
  }
}

/** As nginx reads it: one passphrase a line. */
function readPasswords(written: string, at: string, context: ResolveContext): Secret[] {
  const path = `${at}.ssl_password_file`
  try {
    // A passphrase that was put here by mistake must not come back in the message.
    const isSecret = !looksLikePath(written) && findFile(written, context.pems) === undefined
    if (isSecret) throw new Unfit('names no readable file')
    const file = namedFile(written, context.pems)
    const lines = readBounded(file)
      .toString('utf8')
      .split(/\r?\n/)
      .filter((line) => line !== '')
    if (lines.length === 0) throw new Unfit(`names ${file}, which is empty; expected one passphrase a line`)
    return lines.map((line) => new Secret(line))
  } catch (error) {
    if (!(error instanceof Unfit)) throw error
    context.report({ path, message: error.message })
    return []
  }
}
