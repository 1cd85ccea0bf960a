/** The seams: what the phases of a request pass to each other, and the interfaces that have several implementations. No code. */
import type { Duplex } from 'node:stream'
import type { GatewayError } from './errors.ts'
import type { ConstantHeaders } from './http-fields/own-headers.ts'
import type { HttpRequest, HttpResponse } from './http-messages.ts'
import type { CertificateFacts } from './tls-cert-utils/certificate.ts'

/** nginx's `ssl_verify_client`. */
export type VerifyMode = 'off' | 'optional' | 'on' | 'optional_no_ca'

/** nginx's `$ssl_client_verify`: `FAILED` carries OpenSSL's sentence as `reason`, Node's name for it as `code`, and a `hint` for the log. */
export type Verification =
  | { readonly result: 'NONE' }
  | { readonly result: 'SUCCESS' }
  | { readonly result: 'FAILED'; readonly reason: string; readonly code: string; readonly hint?: string }

/**
 * The facts of one TLS handshake. Made once per connection and frozen. Where the client is judged again with another result, a new one takes its
 * place.
 */
export interface Connection {
  /** Random, for the logs. */
  readonly id: string
  /** The trust policy that judged the handshake; a request must belong to a server with the same one. */
  readonly policy: string
  /** The ClientHello's server name: lower case, without trailing dot. */
  readonly serverName: string | undefined
  readonly remoteAddress: string
  readonly remotePort: number
  readonly localPort: number
  readonly protocol: string
  readonly cipher: string
  readonly resumed: boolean
  readonly verification: Verification
  /** Present if and only if the client showed a certificate, whatever `verification` says. */
  readonly certificate: CertificateFacts | undefined
  /**
   * The issuers by which a certificate that passed was verified, in TLS order, without the root; a session that another process resumes has the same.
   * Empty where the certificate did not pass.
   */
  readonly chain: readonly CertificateFacts[]
  /** When `certificate` or one of its issuers stops being valid, in milliseconds since the epoch; Infinity without one. */
  readonly expiresAt: number
}

/** Where a request wants to go, read strictly from its target and Host. */
export interface Destination {
  /** Lower case, without port or trailing dot; an IPv6 literal keeps its brackets. Empty for HTTP/1.0 without Host. */
  readonly host: string
  /** The port that Host named, if it did. */
  readonly port: number | undefined
  /** Host as the client wrote it, for `preserve_host` and X-Forwarded-Host. */
  readonly authority: string
  /** The path that routes are matched against: unreserved characters decoded, without dot segments, without query. */
  readonly path: string
  /** `?` and what follows, as the client wrote it; empty without one. */
  readonly query: string
}

/** One virtual server of a listener, as nginx's `server { }`. */
export interface VirtualServer {
  readonly name: string
  readonly policy: string
  readonly verify: VerifyMode
  /** Finds the users of the certificates that this server verifies; undefined where certificates belong to no users. */
  readonly mapper: CertificateMapper | undefined
  /** NATS's `verify_and_map`: a route that does not say otherwise asks for a certificate that belongs to a user. */
  readonly verifyAndMap: boolean
}

export interface Route {
  readonly name: string
  readonly service: Service
  /** What callers must prove and be. Undefined lets everybody pass whom the server admits. */
  readonly access?: Access | undefined
  /** Demands on the client's certificate that replace those of the server. */
  readonly certificate?: CertificateDemand | undefined
}

export interface CertificateDemand {
  /** Undefined: the server's. */
  readonly verify: VerifyMode | undefined
  /** Whether the certificate has an allowed name; undefined where any name will do. */
  readonly isAllowed: ((certificate: CertificateFacts) => boolean) | undefined
}

/** A user of the configuration, or one whom a mapper or a token named. Frozen. */
export interface User {
  /** Unique and lasting: Kong's consumer id, Keystone's user id. */
  readonly id: string
  readonly name: string
  readonly groups: readonly string[]
  /** Kong's `custom_id`. */
  readonly customId: string | undefined
}

/** The users of the configuration: Kong's consumers. */
export interface Users {
  byName(name: string): User | undefined
  byId(id: string): User | undefined
  /** Whether this name or id belongs to a user with `enabled: false`. Nothing lets such a user in, even where a plugin or a token names him. */
  isDisabled(nameOrId: string): boolean
  /** Whether somebody else has this as his id, and nobody as his name. Certificates and plugins choose names; ids say who has which role, and whom all proofs agree on. */
  isIdOfAnother(name: string): boolean
}

/** Who is calling, as far as the route asked. Frozen, and the same object while nothing changes, so that what is derived from it is made once. */
export interface Identity {
  /** Undefined for a caller who does not have to identify himself. */
  readonly user: User | undefined
  /** The methods that agreed on the user, in the order in which they were asked. */
  readonly methods: readonly string[]
  /** Those among them that were not asked: a token that was shown was issued for them. They are no steps of a rule. */
  readonly inherited?: readonly string[] | undefined
  /** The name of the credential that was used, for X-Credential-Identifier; undefined where it has none. */
  readonly credential: string | undefined
  /** When the first of its proofs ends, in milliseconds since the epoch; Infinity where none ends. */
  readonly expiresAt: number
  /** What else the methods agreed on, as Keystone's `project_id`. */
  readonly attributes?: Readonly<Record<string, string>> | undefined
  /** The credentials that it rests on, besides certificates. */
  readonly proofs?: readonly Proof[] | undefined
}

/** Records that a credential found a user, so that it can be checked again later. */
export interface Proof {
  readonly method: string
  /** Only the method can read it. Secret. */
  readonly of: string
  readonly user: User
}

/** A request that has found its route, before it is known who is calling. */
export interface Caller {
  readonly id: string
  readonly request: HttpRequest
  readonly connection: Connection
  /** The virtual server that Host names. */
  readonly server: VirtualServer
  readonly method: string
  readonly destination: Destination
}

/** What a route demands of its callers, compiled when the configuration is read. Returns plain values wherever nothing has to be waited for. */
export interface Access {
  /** @throws GatewayError GW_UNAUTHENTICATED, or GW_UNDECIDED where it cannot be decided who is calling: that is neither a yes nor a no */
  authenticate(caller: Caller): Identity | Promise<Identity>
  /** @throws GatewayError GW_FORBIDDEN, or GW_UNDECIDED */
  authorize(caller: Caller, identity: Identity): void | Promise<void>
  /** The same by what time changes, without asking anybody. Absent where time changes nothing. @throws GatewayError GW_FORBIDDEN */
  authorizeByTime?(caller: Caller, identity: Identity): void
  /** Whether somebody who has been let in as that has proved enough for this, without being asked again. */
  suffices(caller: Caller, identity: Identity): boolean
  /** The parts of the request that are meant for the gateway alone. */
  readonly hides?: CredentialPlaces | undefined
  /** The setting of `allow` or `deny` that lets this caller pass or stops him, for `inspect`. Absent where the route has neither. */
  decidedBy?(caller: Caller, identity: Identity): string
}

/**
 * One way for a caller to identify himself; the names are Keystone's. A denial is a value. A method that cannot decide throws, and that is neither a
 * yes nor a no.
 */
export interface AuthMethod {
  /** As rules name it. */
  readonly name: string
  /** What WWW-Authenticate says of it, as `Basic realm="api"`; undefined where HTTP has no word for it. */
  readonly challenge?: string | undefined
  /** It only confirms a user whom another method has found, as a one-time code does, so it is never the first of a rule. */
  readonly needsUser?: boolean | undefined
  /** Where requests carry its credential, which must not reach the backend. Undefined where they carry nothing secret. */
  readonly credential?: CredentialPlaces | undefined
  /**
   * @param payload what a client of the Identity API wrote under `identity[method]`; undefined on routes, where the request's headers hold the
   * credential
   * @param found what the methods before it in the same rule agreed on, for methods that only confirm a user
   */
  authenticate(caller: Caller, payload?: unknown, found?: Identity): Outcome | Promise<Outcome>
  /**
   * Whose credential this is now. It proved to be this user's earlier, perhaps under another configuration. Undefined where it is no longer valid.
   * @throws GatewayError GW_UNDECIDED
   */
  ownerOf?(proof: string, user: User): User | undefined | Promise<User | undefined>
}

/** Which parts of a request are credentials for the gateway. */
export interface CredentialPlaces {
  /** `name` in lower case. */
  isHeader?(name: string, value: string): boolean
  readonly queryKeys?: ReadonlySet<string>
}

/** What a method found. `reason` is for the log: clients never see it. */
export type Outcome =
  /** The request says nothing to this method. */
  | { readonly status: 'absent' }
  | {
      readonly status: 'accepted'
      readonly user: User
      readonly credential?: string | undefined
      /** In milliseconds since the epoch. */
      readonly expiresAt?: number | undefined
      /** The methods that a token was issued for, besides this method itself. */
      readonly methods?: readonly string[] | undefined
      /** Keystone's `project_id`, `domain_id` and `access_token_id`, in which all methods must agree, and other attributes. */
      readonly attributes?: Readonly<Record<string, string>> | undefined
      /** Further methods that must succeed, whatever the rule says. */
      readonly requires?: readonly string[] | undefined
      /** The credential, for `ownerOf`. Secret. */
      readonly proof?: string | undefined
    }
  /** `headers` (flat) go to the client with the 401. */
  | { readonly status: 'denied'; readonly reason: string; readonly headers?: readonly string[] | undefined }
  /** One more step is needed: `challenge` goes to the client, as Keystone writes it under `error.identity[method]`. */
  | { readonly status: 'challenged'; readonly challenge: Readonly<Record<string, unknown>> }

/** Certificate → user: the rules of a server, or a plugin. A mapper that cannot decide throws GW_UNDECIDED: that is neither a user nor none. */
export interface CertificateMapper {
  readonly name: string
  /** The result for one certificate does not change while the configuration is the same. */
  map(certificate: CertificateFacts, connection: Connection): Mapping | Promise<Mapping>
  /** Tries each rule by itself, in order, also those after one that matched; for `inspect`. */
  trials?(certificate: CertificateFacts, connection: Connection): Iterable<Trial>
}

/** One rule on one certificate. */
export interface Trial {
  /** The setting where it stands. */
  readonly at: string
  /** As a person would write it. */
  readonly rule: string
  readonly matched: boolean
  /** Which field matched, or why none did. */
  readonly reason: string
}

/** What a mapper found. `reason` is for the log and for `inspect`: which rule matched, or why none did. */
export type Mapping =
  | {
      readonly status: 'mapped'
      readonly user: User
      readonly reason: string
      /** The id of the credential that matched, for X-Credential-Identifier. */
      readonly credential?: string | undefined
      /** Further methods that this user must pass, such as NATS's password of a mapped user. */
      readonly requires?: readonly string[] | undefined
      /** When to ask again, in milliseconds since the epoch; undefined where nothing changes while the configuration is the same. */
      readonly until?: number | undefined
    }
  /** `headers` (flat) go to the client with the 401, as Docker's plugins may ask. */
  | {
      readonly status: 'unmapped'
      readonly reason: string
      /** It belongs to a disabled user: no other mapper is asked. */
      readonly disabled?: true | undefined
      readonly headers?: readonly string[] | undefined
      readonly until?: number | undefined
    }

/**
 * Remembers for a while, for one gateway or several: revoked tokens, used codes, failed attempts. A key begins with its kind and a colon, as
 * `revoked:…`, and each kind has its own limit. What cannot be answered throws GW_UNDECIDED and never returns undefined.
 */
export interface Store {
  get(key: string): string | undefined | Promise<string | undefined>
  set(key: string, value: string, ttlMilliseconds: number): void | Promise<void>
  /** True for the first who adds the key, false until it has expired or been deleted. */
  add(key: string, value: string, ttlMilliseconds: number): boolean | Promise<boolean>
  delete(key: string): void | Promise<void>
  /** Returns the new count. The time runs from the first increment; later ones do not extend it. */
  increment(key: string, ttlMilliseconds: number): number | Promise<number>
}

/** What a router found: the route, and the path to ask its service for. */
export interface Match {
  readonly route: Route
  /** Origin-form path without query, already joined with the service's own path (Kong's `strip_path`, path handling v0). */
  readonly upstreamPath: string
  /** The prefix that `strip_path` removed, for X-Forwarded-Prefix. */
  readonly strippedPrefix: string
  readonly preserveHost: boolean
}

/** Everything that a service needs to answer one request. */
export interface Call extends Caller {
  /** Origin-form target: path and query. */
  readonly target: string
  /** The client's Host where the route preserves it. */
  readonly host: string | undefined
  readonly headers: CallHeaders
  readonly body: BodyFraming
  /** Whether the client waits for a 100 before it sends its body. */
  readonly expectContinue: boolean
  readonly limits: CallLimits
  readonly record: CallRecord
  readonly identity: Identity
}

/** Flat name, value lists, ready to send in this order. No Host, no framing. */
export interface CallHeaders {
  /** The client's end-to-end headers without any that are ours to write. They were checked as they were read. */
  readonly received: readonly string[]
  /** Ours. */
  readonly own: readonly string[]
  /** Ours too. */
  readonly constant: readonly ConstantHeaders[]
}

/** Limits on one client's request, from its listener. */
export interface CallLimits {
  /** Bytes; 0 for no limit. */
  readonly maxBodySize: number
  /** Milliseconds between two reads of the client's body. */
  readonly bodyTimeout: number
  /** Milliseconds that a client may leave the answer unread. */
  readonly sendTimeout: number
}

/** A request's head, read strictly. */
export interface RequestHead {
  readonly destination: Destination
  readonly framing: BodyFraming
  /** The lower-cased names that Connection lists: headers of this hop only (RFC 9110 7.6.1). */
  readonly connectionOptions: ReadonlySet<string> | undefined
  readonly expectContinue: boolean
}

/** How the request's body is delimited, from what the parser understood, never from the client's own header text. */
export type BodyFraming =
  | { readonly kind: 'none' }
  | { readonly kind: 'length'; readonly length: number }
  | { readonly kind: 'chunked' }

/** What a service records for the access log while it works. It is only written to. */
export interface CallRecord {
  /** The caller's name, once it is known. */
  user: string | undefined
  service: string | undefined
  target: string | undefined
  upstreamStatus: number | undefined
  /** Milliseconds from sending to the first byte of the answer, for the last attempt. */
  upstreamTime: number | undefined
  attempts: number
}

/** Answers calls: a backend, or a service of the gateway's own. */
export interface Service {
  readonly name: string
  /** Streams the answer into `response`. Rejects with a GatewayError where there is no usable answer; `response` may have begun by then. */
  forward(call: Call, response: HttpResponse): Promise<void>
  /**
   * Carries an upgraded connection (RFC 9110 7.8) until one side ends it. The answer is written to `socket` itself, once the upstream has answered.
   */
  upgrade(call: Call, protocol: string, socket: Duplex, head: Buffer): Promise<void>
  /** A refusal on one of its routes, by whichever phase, in the form that its protocol has for errors. Absent where it has no form of its own. */
  translateRefusal?(refusal: GatewayError, requestId: string): GatewayError
}

/** The fields of a head as they were received. */
export interface ReceivedFields {
  /** Flat name, value list. */
  readonly headers: readonly string[]
  /** What they were read from, each line checked. */
  readonly text: string
  /** Where the first line begins in the text. */
  readonly linesStart: number
  /** Where each line ends, with its CR LF. */
  readonly lineEnds: readonly number[]
}

/** Header lines for a client, each ended by CR LF. */
export interface AnswerLines {
  readonly text: string
  /** Whether Content-Length is among them. */
  readonly hasLength: boolean
  readonly hasDate: boolean
}

/** Filters an upstream's answer: only end-to-end headers reach the client, and no identity headers of ours. */
export interface AnswerHeaders {
  /**
   * The lines of a head that reach the client, with ours behind; most answers need no more. Undefined where `forward` has to make a list of them: where
   * more than whole lines goes, or Connection names some.
   */
  lines(received: ReceivedFields, requestId: string): AnswerLines | undefined
  /** From a raw name, value list to a flat list of strings, with ours appended. */
  forward(rawHeaders: readonly string[], requestId: string): string[]
  /** The same for trailers, without ours. */
  trailers(rawTrailers: readonly string[]): string[]
}

/** The record of one request for the access log, the metrics and a refusal. */
export interface RequestRecord extends CallRecord {
  /** Whose request it is. */
  connection: Connection
  route: Route | undefined
  error: GatewayError | undefined
  /** Writes the log line and counts the request; called once, however the request ends. `status` is 0 where nothing was answered. */
  finish(status: number): void
}
