/** Keystone's receipts: they say which steps of a rule were passed. They are signed, so that nothing needs to be stored. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { GatewayError } from '../errors.ts'
import { claimsOfUser, type UserClaims, userOfClaims } from '../tokens/token-user.ts'
import type { AuthMethod, Caller, Connection, Identity, User, Users } from '../types.ts'
import { userOfCertificate } from './certificate-user.ts'

export const RECEIPT_HEADER = 'Openstack-Auth-Receipt'
const FOLDED = RECEIPT_HEADER.toLowerCase()
/** Long enough for a user with hundreds of groups; anything longer is not ours. */
const LONGEST = 8192

/** What a receipt attests. */
export interface Progress {
  readonly user: User
  readonly methods: readonly string[]
  readonly inherited: readonly string[] | undefined
  readonly credential: string | undefined
  /** When what was passed ends by itself; undefined where it does not. */
  readonly expiresAt: number | undefined
  readonly attributes: Readonly<Record<string, string>> | undefined
  /** When the receipt ends, in milliseconds since the epoch. */
  readonly validUntil: number
}

/** A receipt as it is handed out. Times are in milliseconds since the epoch. */
export interface Receipt {
  readonly id: string
  readonly issuedAt: number
  readonly expiresAt: number
}

export interface Receipts {
  /**
   * @param before what attested a part of it. The receipt ends no later: otherwise receipts could be renewed for ever, long after the password was
   * changed.
   */
  issue(identity: Identity, connection: Connection, before?: Progress): Receipt
  /**
   * Returns a promise only where a certificate was involved and its current user has to be waited for.
   * @throws GatewayError GW_UNAUTHENTICATED for a receipt that is not ours, has expired, was given to another certificate, or whose certificate now
   * belongs to another user
   */
  open(id: string, caller: Caller, certificate: AuthMethod | undefined): Progress | Promise<Progress>
}

interface Content extends Omit<Progress, 'user'>, UserClaims {
  /** RFC 8705's thumbprint of the certificate that was shown, if one was. */
  readonly x5t?: string
  readonly issuedAt: number
}

export interface ReceiptOptions {
  readonly key: Buffer
  /** Milliseconds. */
  readonly ttl: number
  readonly users: Users
}

export function createReceipts({ key, ttl, users }: ReceiptOptions): Receipts {
  const mac = (text: string) => createHmac('sha256', key).update(`sallyport receipt\0${text}`).digest()
  return {
    issue({ user: who, methods, inherited, credential, expiresAt, attributes }, connection, before) {
      if (!who) throw new GatewayError('GW_INTERNAL', 'a receipt for nobody')
      const issuedAt = Date.now()
      const validUntil = Math.min(issuedAt + ttl, expiresAt, before?.validUntil ?? Number.POSITIVE_INFINITY)
      const ends = expiresAt === Number.POSITIVE_INFINITY ? {} : { expiresAt }
      const content = {
        ...claimsOfUser(who, users),
        methods,
        inherited,
        credential,
        ...ends,
        attributes,
        x5t: thumbprint(connection),
        issuedAt,
        validUntil,
      }
      const text = Buffer.from(JSON.stringify(content)).toString('base64url')
      return { id: `${text}.${mac(text).toString('base64url')}`, issuedAt, expiresAt: validUntil }
    },
    open(id, caller, certificate) {
      const [text = '', signature = '', ...more] = id.length > LONGEST ? [] : id.split('.')
      const given = Buffer.from(signature, 'base64url')
      const expected = mac(text)
      if (more.length > 0 || given.length !== expected.length || !timingSafeEqual(given, expected))
        throw bad('is not ours')
      const content = JSON.parse(Buffer.from(text, 'base64url').toString('utf8')) as Content
      if (!(content.validUntil > Date.now())) throw bad('has expired')
      if (content.x5t !== thumbprint(caller.connection)) throw bad('was given to a client with another certificate')
      const issuedTo = userOfClaims(content, users)
      if (!issuedTo) throw bad('is of a user who is gone')
      const { methods, inherited, credential, expiresAt, attributes, validUntil } = content
      const progressOf = (user: User | undefined): Progress => {
        if (!user) throw bad(`is of ${issuedTo.name}, to whom the certificate does not belong any more`)
        return { user, methods, inherited, credential, expiresAt, attributes, validUntil }
      }
      const user = userOfCertificate({ user: issuedTo, methods }, caller, certificate)
      return user instanceof Promise ? user.then(progressOf) : progressOf(user)
    },
  }
}

/** The one receipt of a request; undefined without. */
export function readReceiptHeader(rawHeaders: readonly string[]): string | undefined {
  let found: string | undefined
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length !== FOLDED.length || name.toLowerCase() !== FOLDED) continue
    if (found !== undefined) throw bad('is not the only one')
    found = rawHeaders[i + 1] as string
  }
  return found
}

function thumbprint({ certificate }: Connection): string | undefined {
  return certificate?.fingerprintSha256
}

function bad(reason: string): GatewayError {
  return new GatewayError('GW_UNAUTHENTICATED', `the receipt ${reason}`)
}
