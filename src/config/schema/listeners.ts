/** Where clients arrive, and the limits that hold for their connections. */
import * as z from 'zod'
import { listenAddress, networkOrUnix } from './addresses.ts'
import { block, field, type Located, list } from './field.ts'
import { natsTls } from './nats-tls.ts'
import { duration, integer, onOff, positiveDuration, size } from './scalars.ts'
import { type ServerConfig, server } from './servers.ts'

const MEGABYTE = 1024 * 1024

export const listener = block('One address to listen on, with TLS.', {
  listen: field(listenAddress, {
    default: '0.0.0.0:8443',
    env: 'SALLYPORT_LISTEN',
    about:
      'The address and port: 8443, *:8443, 127.0.0.1:8443, [::1]:8443. Port 0 lets the system choose. Or a Unix socket: unix:/run/sallyport.sock.',
  }),
  handshake_timeout: field(positiveDuration, {
    default: '10s',
    env: 'SALLYPORT_HANDSHAKE_TIMEOUT',
    about: 'A client has so long to finish the TLS handshake.',
  }),
  client_header_timeout: field(positiveDuration, {
    default: '60s',
    env: 'SALLYPORT_CLIENT_HEADER_TIMEOUT',
    about: 'A client has so long to send the whole request header; then 408.',
  }),
  client_body_timeout: field(positiveDuration, {
    default: '60s',
    env: 'SALLYPORT_CLIENT_BODY_TIMEOUT',
    about: 'The longest pause between two reads of a request body; then 408.',
  }),
  send_timeout: field(positiveDuration, {
    default: '60s',
    env: 'SALLYPORT_SEND_TIMEOUT',
    about: 'The longest pause between two writes of a response; then the connection is closed.',
  }),
  keepalive_timeout: field(duration, {
    default: '75s',
    env: 'SALLYPORT_KEEPALIVE_TIMEOUT',
    about: 'An idle connection is kept open for so long; 0 keeps none.',
  }),
  keepalive_requests: field(integer(1, 2 ** 31 - 1), {
    default: 1000,
    env: 'SALLYPORT_KEEPALIVE_REQUESTS',
    about: 'A connection is closed after so many requests.',
  }),
  client_max_header_size: field(size(1024, MEGABYTE), {
    default: '16k',
    env: 'SALLYPORT_CLIENT_MAX_HEADER_SIZE',
    about: 'The largest request header, all lines together; beyond it 431.',
  }),
  client_max_uri_size: field(size(64, MEGABYTE), {
    default: '8k',
    env: 'SALLYPORT_CLIENT_MAX_URI_SIZE',
    about: 'The longest request target; beyond it 414.',
  }),
  max_headers: field(integer(1, 10_000), {
    default: 200,
    env: 'SALLYPORT_MAX_HEADERS',
    about: 'The most header lines of a request; beyond it 431.',
  }),
  client_max_body_size: field(size(0, Number.MAX_SAFE_INTEGER), {
    default: 0,
    env: 'SALLYPORT_CLIENT_MAX_BODY_SIZE',
    about: 'The largest request body; beyond it 413. 0 sets no limit, as in Kong: bodies are streamed and never held.',
  }),
  max_connections: field(integer(1, 1_000_000), {
    env: 'SALLYPORT_MAX_CONNECTIONS',
    otherwise: '16384',
    about:
      'The most connections at once; further ones are closed. Of all listeners together no more are accepted than the limit of open files (ulimit -n) has room for beside the connections to upstreams; a start warns where what is written here does not fit.',
  }),
  max_connections_per_address: field(integer(0, 1_000_000), {
    default: 0,
    env: 'SALLYPORT_MAX_CONNECTIONS_PER_ADDRESS',
    about:
      'The most connections of one address at once, and of one /64 network of IPv6; further ones are closed before TLS. 0 sets no limit. Several workers share it out, so that it holds roughly.',
  }),
  connection_rate_limit: field(integer(0, 1_000_000), {
    default: 0,
    env: 'SALLYPORT_CONNECTION_RATE_LIMIT',
    about: 'The most new connections per second, as in NATS; further ones are closed before TLS. 0 sets no limit.',
  }),
  proxy_protocol_from: list(networkOrUnix, {
    default: [],
    env: 'SALLYPORT_PROXY_PROTOCOL_FROM',
    about:
      'The load balancers, as addresses and networks ("unix:", in quotes, over a Unix socket), that begin each connection with a PROXY header (version 1 or 2): they must, and nobody else may. The address in it counts as the address of the client.',
  }),
  underscores_in_headers: field(onOff, {
    default: 'off',
    env: 'SALLYPORT_UNDERSCORES_IN_HEADERS',
    about:
      'Whether header names may hold underscores. Off drops such headers, since many backends cannot tell X_User from X-User.',
  }),
  tls: natsTls.optional(),
  servers: z
    .array(server)
    .prefault([{}])
    .describe(
      'The virtual servers. The one whose server_names match the TLS server name decides; else the default server.',
    ),
})

export type WrittenListener = z.output<typeof listener> & Located

/** A listener as it is used: every setting has its value. Durations in milliseconds, sizes in bytes. */
export interface ListenerConfig extends Omit<WrittenListener, 'servers' | 'tls'> {
  /** Not empty; exactly one is the `default_server`. */
  readonly servers: readonly ServerConfig[]
}
