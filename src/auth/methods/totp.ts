import { createHmac, hash, timingSafeEqual } from 'node:crypto'
import { headerValues } from '../../http-fields/header-values.ts'
import type { AuthMethod, Caller, Identity, Outcome, Store, User, Users } from '../../types.ts'
import type { Lockout } from '../lockout.ts'
import { objectAt, textAt } from './payload.ts'

/** RFC 6238's usual time step, in milliseconds; what every authenticator app shows. */
const STEP = 30_000

export interface TotpOptions {
  readonly realm: string
  /** The header that holds the code. */
  readonly header: string
  /** Keystone's `included_previous_windows`: how many codes before the current one are still accepted. */
  readonly previousWindows: number
  readonly users: Users
  /** The shared secrets, by the user's id. */
  readonly secrets: ReadonlyMap<string, readonly Buffer[]>
  readonly store: Store
  readonly lockout: Lockout
  readonly now?: () => number
}

/** A code of an authenticator app (RFC 6238: SHA-1, six digits, 30 seconds). Each counts once. */
export function createTotpMethod(options: TotpOptions): AuthMethod {
  const { realm, header, users } = options
  const lowerCase = header.toLowerCase()
  return {
    name: 'totp',
    challenge: `TOTP realm="${realm}", header="${header}"`,
    needsUser: true,
    credential: { isHeader: (name) => name === lowerCase },
    ownerOf: (proof, user) => (options.secrets.get(user.id)?.some((own) => digest(own) === proof) ? user : undefined),
    authenticate({ request }: Caller, payload?: unknown, found?: Identity): Outcome | Promise<Outcome> {
      if (payload !== undefined) {
        const named = objectAt(payload, 'user')
        const name = textAt(named, 'id') ?? textAt(named, 'name') ?? ''
        const code = textAt(named, 'passcode')
        if (code === undefined) return { status: 'denied', reason: 'no passcode' }
        return checkCode(options, users.byId(name) ?? users.byName(name), name, code)
      }
      const values = headerValues(request.rawHeaders, lowerCase)
      const code = values[0]
      if (code === undefined || !found?.user) return { status: 'absent' }
      if (values.length > 1) return { status: 'denied', reason: `more than one ${header}` }
      return checkCode(options, found.user, found.user.name, code)
    },
  }
}

/** Unknown users, and users without a generator, get the same answer as everybody else, so that nobody learns who exists. */
async function checkCode(options: TotpOptions, user: User | undefined, name: string, code: string): Promise<Outcome> {
  const { secrets, store, lockout, previousWindows, now = Date.now } = options
  const own = user && secrets.get(user.id)
  const named = JSON.stringify(name.slice(0, 64))
  if (!/^\d{6}$/.test(code)) return { status: 'denied', reason: 'the code is not six digits' }
  const wait = await lockout.begin(`totp:${own ? user.id : lockout.stranger(name)}`)
  if (wait !== undefined) {
    return { status: 'denied', reason: `too many codes for ${named}`, headers: ['Retry-After', `${wait}`] }
  }
  if (!own) return { status: 'denied', reason: `${named} is nobody, or has no generator of codes` }
  const current = Math.floor(now() / STEP)
  const found = counterOf(code, own, current, previousWindows)
  if (found === undefined) return { status: 'denied', reason: `wrong code for ${user.name}` }
  const { counter, secret } = found
  // RFC 6238 5.2: each code is accepted only once, in case it was intercepted.
  const isFirst = await store.add(`used:totp:${user.id}:${counter}`, '1', STEP * (previousWindows + 2))
  if (!isFirst) return { status: 'denied', reason: `the code of ${user.name} was used already` }
  await lockout.succeeded(`totp:${user.id}`)
  return { status: 'accepted', user, proof: digest(secret) }
}

function digest(secret: Buffer): string {
  return hash('sha256', secret, 'base64')
}

/** The time step that the code belongs to, and its secret. All codes are computed, so that the time shows nothing. */
function counterOf(code: string, secrets: readonly Buffer[], current: number, previous: number) {
  const given = Buffer.from(code)
  let found: { readonly counter: number; readonly secret: Buffer } | undefined
  for (let counter = current - previous; counter <= current; counter++) {
    for (const secret of secrets) {
      if (timingSafeEqual(Buffer.from(totp(secret, counter)), given)) found = { counter, secret }
    }
  }
  return found
}

/** RFC 4226 5.3. */
export function totp(secret: Buffer, counter: number): string {
  const message = Buffer.alloc(8)
  message.writeBigUInt64BE(BigInt(counter))
  const mac = createHmac('sha1', secret).update(message).digest()
  const offset = (mac[mac.length - 1] as number) & 15
  return String((mac.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0')
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** RFC 4648 6, as apps show it: without padding, in any letter case, perhaps in groups. Undefined where the text is not base32. */
export function decodeBase32(text: string): Buffer | undefined {
  const letters = text.replaceAll(/[\s-]/g, '').replace(/=+$/, '').toUpperCase()
  const bytes: number[] = []
  let bits = 0
  let value = 0
  for (const letter of letters) {
    const index = ALPHABET.indexOf(letter)
    if (index < 0) return undefined
    value = ((value << 5) | index) & 0xfff
    bits += 5
    if (bits < 8) continue
    bits -= 8
    bytes.push((value >> bits) & 255)
  }
  return bytes.length === 0 ? undefined : Buffer.from(bytes)
}
