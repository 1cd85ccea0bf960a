/** The headers that tell the backend who is calling: those of the configuration and of presets. They are compiled once, and written once per connection and identity. */
import { ConnectionNotes } from '../connection-notes.ts'
import { GatewayError } from '../errors.ts'
import { ConstantHeaders } from '../http-fields/own-headers.ts'
import type { Connection, Identity } from '../types.ts'
import { type ForwardMode, writesElement } from './client-cert-forwarding.ts'
import type { IdentityField } from './fields.ts'
import { fold } from './fold.ts'
import { type HeaderValue, valueOfField } from './header-value.ts'
import { PRESETS, type Preset, type PresetName } from './presets.ts'
import { compileTemplate, type TemplatePart } from './template.ts'
import { XFCC, type XfccDetail } from './xfcc.ts'

export interface IdentityHeadersOptions {
  /** Header name → the field that it holds, or a template. */
  readonly headers?: Readonly<Record<string, IdentityField | readonly TemplatePart[]>>
  readonly presets?: readonly PresetName[]
  /** Envoy's `forward_client_cert_details` and `set_current_client_cert_details`. */
  readonly forwarding?: ForwardMode
  readonly details?: readonly XfccDetail[]
  /** The most bytes that one header's value may have. */
  readonly maxSize?: number
  /** The URIs of the certificate that this connection was shown. */
  readonly ownUris?: (connection: Connection) => readonly string[]
}

/** Writes who is calling, as the configuration says. */
export interface IdentityHeaders {
  /**
   * Made once per connection and identity; the same object each time.
   * @throws GatewayError GW_IDENTITY_TOO_LARGE: a shortened name could be another caller's
   */
  for(connection: Connection, identity?: Identity): ConstantHeaders
}

// Only the last identity of a connection is remembered, and only the headers of the last configuration: with many connections, and a certificate in a
// header, those of each one that was replaced would be tens of megabytes.
const known = new ConnectionNotes<Made>()

/**
 * A field without a value (no certificate, an empty subject) sends no header, as nginx's `proxy_set_header` with an empty value; `verify` always has
 * one. Values are printable ASCII whatever the certificate holds.
 */
export function createIdentityHeaders(options: IdentityHeadersOptions): IdentityHeaders {
  const { maxSize = Number.POSITIVE_INFINITY, ownUris = () => [] } = options
  const writers = writersOf(options)
  const by = {}

  const make = (connection: Connection, identity: Identity | undefined): Made => {
    const facts = { connection, identity, ownUris: ownUris(connection) }
    const flat: string[] = []
    let tooLarge: string | undefined
    for (const [name, write] of writers) {
      const value = write(facts)
      if (value) flat.push(name, value)
      if (value && value.length > maxSize)
        tooLarge ??= `${name} would have ${value.length} bytes, the limit is ${maxSize}`
    }
    const made = { by, identity, headers: new ConstantHeaders(flat), tooLarge }
    known.set(connection, made)
    return made
  }
  return {
    for(connection, identity) {
      const found = known.get(connection)
      const { headers, tooLarge } = found?.by === by && found.identity === identity ? found : make(connection, identity)
      if (tooLarge !== undefined) throw new GatewayError('GW_IDENTITY_TOO_LARGE', tooLarge)
      return headers
    },
  }
}

interface Made {
  /** Whatever made them; it holds nothing. */
  readonly by: object
  readonly identity: Identity | undefined
  readonly headers: ConstantHeaders
  readonly tooLarge: string | undefined
}

function writersOf({ headers = {}, presets = [], forwarding = 'SANITIZE_SET', details = [] }: IdentityHeadersOptions) {
  const configured = Object.entries(headers).map(([name, holds]): [string, HeaderValue] => [
    name,
    typeof holds === 'string' ? valueOfField(holds) : compileTemplate(holds),
  ])
  const chosen = presets.flatMap((name) => Object.entries<HeaderValue>(PRESETS[name]({ details }) satisfies Preset))
  return [...configured, ...chosen.filter(([name]) => name !== XFCC || writesElement(forwarding))]
}

/** Pairs of headers that a backend behind CGI could not tell apart. */
export function sameNames(headers: readonly (readonly [source: string, name: string])[]): [string, string][] {
  const seen = new Map<string, string>()
  return headers.flatMap(([source, name]): [string, string][] => {
    const label = `${name} (${source})`
    const other = seen.get(fold(name))
    seen.set(fold(name), label)
    return other === undefined ? [] : [[other, label]]
  })
}
