/** Builds what writes identity headers, from the settings. */
import type { Config } from '../config/index.ts'
import { createIdentityHeaders, type IdentityHeaders, sameNames } from '../identity/identity-headers.ts'
import { headersOf } from '../identity/presets.ts'

export function identityHeadersOf(
  config: Config,
  ownUris: (serverName: string | undefined) => readonly string[] = () => [],
): IdentityHeaders {
  return createIdentityHeaders({
    headers: config.identity_headers,
    presets: config.identity_presets,
    forwarding: config.forward_client_cert_details,
    details: config.set_current_client_cert_details,
    maxSize: config.identity_headers_max_size,
    ownUris: ({ serverName }) => ownUris(serverName),
  })
}

/** Pairs of headers that a backend could mistake for one another, as sentences. */
export function ambiguousHeaders({ identity_headers: headers, identity_presets: presets }: Config): string[] {
  const names = [
    ...Object.keys(headers).map((name) => ['identity_headers', name] as const),
    ...presets.flatMap((preset) => headersOf(preset).map((name) => [preset, name] as const)),
  ]
  const [first] = sameNames(names)
  return first ? [`${first[0]} and ${first[1]} are the same header for many backends; keep one of them`] : []
}

/** Headers that only we may write, beyond those that every gateway owns. */
export function ownedNamesOf({ identity_headers: headers, listeners, auth }: Config): string[] {
  const certificateHeaders = listeners.flatMap(({ servers }) => servers.map((server) => server.certificate_header_name))
  const ours = [...Object.keys(headers), auth.external.header]
  return [...ours, ...certificateHeaders.filter((name) => name !== undefined)]
}
