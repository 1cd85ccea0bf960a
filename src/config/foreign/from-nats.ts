/** Settings of nats.conf that are written differently here: for messages, and for docs/migration.md. */
import type { Remedies } from './from-nginx.ts'

export const FILE_OF_NATS =
  "is a file of NATS's; write YAML: docs/migration.md has an example and says what is called otherwise here"

/** Whether a file that is no YAML looks like NATS's: its blocks are at the top level, and lines end without commas. */
export function isOfNats(bytes: Uint8Array): boolean {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
  return /^(authorization|accounts|tls|cluster|jetstream|leafnodes|mqtt|websocket)[ \t]*[:=]?[ \t]*\{/im.test(text)
}

const MAPPED = "write users in the server's authorization, with mapping: nats; groups in place of accounts"
const ANOTHER_PROTOCOL = "remove it: clients speak HTTP here, and not NATS's protocol"

/** At the top level. */
export const NATS_WORDS: Remedies = [
  ['tls', 'write it at a listener: listeners[].tls is read as it is'],
  ['port host net', 'write listen in listeners'],
  ['allow_non_tls', 'remove it: every listener speaks TLS'],
  ['authorization accounts', MAPPED],
  ['include', 'write one file; users may stand in another, users_file'],
  ['http_port https_port http monitor_port', 'write listen in admin: /metrics has the numbers'],
  ['debug trace logtime log_file logfile', 'write level in log; lines go to standard output'],
  ['lame_duck_duration lame_duck_grace_period', 'write timeout and delay in shutdown'],
  ['max_connections', 'write max_connections at the listener'],
  [
    'cluster gateway leafnodes mqtt websocket jetstream server_name max_payload max_control_line max_pending max_subscriptions ping_interval write_deadline pid_file server_tags operator resolver system_account no_auth_user',
    ANOTHER_PROTOCOL,
  ],
]

/** In authorization and its users. */
export const NATS_AUTHORIZATION_WORDS: Remedies = [
  [
    'permissions default_permissions publish subscribe allow_responses',
    'write allow: [{ users: [name], methods: [GET] }] at a service or route: HTTP has paths and methods, and no subjects',
  ],
  ['account', 'write groups'],
  ['nkey token', 'write rules at a service or route: [[api-key]] or [[token]], beside [[certificate]]'],
]
