/** Envoy's `forward_client_cert_details`: what happens to an X-Forwarded-Client-Cert that the client itself sent. */
import { GatewayError } from '../errors.ts'
import { ConstantHeaders } from '../http-fields/own-headers.ts'
import type { Connection } from '../types.ts'
import { plainAddress } from './addresses.ts'
import { joined } from './forwarded.ts'
import { parseXfcc, XFCC } from './xfcc.ts'

export type ForwardMode = 'SANITIZE' | 'FORWARD_ONLY' | 'APPEND_FORWARD' | 'SANITIZE_SET' | 'ALWAYS_FORWARD_ONLY'

/** Whether the client's own header is passed on, by Envoy's modes. SANITIZE_SET and SANITIZE are missing: they never pass it on. */
const KEEPS: Readonly<Partial<Record<ForwardMode, (connection: Connection) => boolean>>> = {
  FORWARD_ONLY: isProven,
  APPEND_FORWARD: isProven,
  ALWAYS_FORWARD_ONLY: () => true,
}

/** Whether this hop's element is written. */
export function writesElement(mode: ForwardMode): boolean {
  return mode === 'SANITIZE_SET' || mode === 'APPEND_FORWARD'
}

export interface ClientCertForwarding {
  /**
   * Appends the peer's header to `out`, with our own element after it in the same line: some readers only look at the first line. Returns what
   * remains of `ours`, the identity headers of this connection.
   */
  append(out: string[], connection: Connection, rawHeaders: readonly string[], ours: ConstantHeaders): ConstantHeaders
}

export interface ClientCertForwardingOptions {
  readonly mode: ForwardMode
  /** `trusted_ips`. Envoy believes every client with a certificate; here the peer must also be one of our proxies. */
  readonly trusted: { has(address: string): boolean }
  readonly maxSize: number
}

/** Undefined for the modes that forward nothing. */
export function createClientCertForwarding(options: ClientCertForwardingOptions): ClientCertForwarding | undefined {
  const { mode, trusted, maxSize } = options
  const keeps = KEEPS[mode]
  if (!keeps) return undefined
  return {
    append(out, connection, rawHeaders, ours) {
      if (!keeps(connection) || !trusted.has(plainAddress(connection.remoteAddress))) return ours
      const text = joined(rawHeaders, XFCC.toLowerCase())
      if (text === undefined || text === '') return ours
      if (text.length > maxSize)
        throw new GatewayError('GW_IDENTITY_TOO_LARGE', `the peer's ${XFCC} has ${text.length} bytes`)
      if (!/^[\t\x20-\x7e]*$/.test(text) || !parseXfcc(text)) {
        throw new GatewayError('GW_BAD_REQUEST', `the peer's ${XFCC} cannot be read in one way only`)
      }
      const at = ours.list.findIndex((item, i) => i % 2 === 0 && item === XFCC)
      out.push(XFCC, at < 0 ? text : `${text},${ours.list[at + 1]}`)
      return at < 0 ? ours : new ConstantHeaders(ours.list.toSpliced(at, 2))
    },
  }
}

function isProven({ verification, certificate }: Connection): boolean {
  return verification.result === 'SUCCESS' && certificate !== undefined
}
