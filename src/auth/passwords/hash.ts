/** Password hashes: argon2id, scrypt, bcrypt and SHA-crypt, as `sallyport hash`, `htpasswd`, `openssl passwd` and others write them. */
import { argon2Sync, createHash, randomBytes, scryptSync, timingSafeEqual } from 'node:crypto'
import bcrypt from 'bcryptjs'
import { encrypt as shaCrypt } from 'unixcrypt'

export const ALGORITHMS = ['argon2id', 'scrypt', 'bcrypt', 'sha256', 'sha512'] as const
export type Algorithm = (typeof ALGORITHMS)[number]

/** A hash that cannot be used. The message says what to write instead and never repeats the hash. */
export class HashError extends Error {}

interface Scheme {
  readonly shape: RegExp
  /** Whether the costs in the pattern's groups are too high: a hash that takes minutes would stop everybody's log-ins. */
  tooCostly(costs: readonly number[]): boolean
  /** The hash of `password` with the costs and the salt of `like`. */
  again(password: string, like: string): string
}

const BASE64 = '[A-Za-z0-9+/]+'
const ARGON2ID = new RegExp(`^\\$argon2id\\$v=19\\$m=(\\d{1,7}),t=(\\d{1,3}),p=(\\d{1,3})\\$(${BASE64})\\$(${BASE64})$`)
const SCRYPT = new RegExp(`^\\$scrypt\\$ln=(\\d{1,2}),r=(\\d{1,3}),p=(\\d{1,3})\\$(${BASE64})\\$(${BASE64})$`)
const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/
const SHA_CRYPT =
  /^\$(?:5\$(?:rounds=(\d{1,9})\$)?[./\w]{1,16}\$[./A-Za-z0-9]{43}|6\$(?:rounds=(\d{1,9})\$)?[./\w]{1,16}\$[./A-Za-z0-9]{86})$/
/** Ours, in memory only, for a password that the configuration holds in clear. */
const CLEAR = /^\$clear\$[0-9a-f]{64}$/
/** KiB. */
const MOST_MEMORY = 256 * 1024

const SCHEMES: readonly Scheme[] = [
  {
    shape: ARGON2ID,
    tooCostly: ([memory = 0, passes = 0, lanes = 0]) => memory > MOST_MEMORY || passes > 16 || lanes > 16,
    again: (password, like) => {
      const [, m, t, p, salt = '', tag = ''] = ARGON2ID.exec(like) ?? []
      const cost = { memory: Number(m), passes: Number(t), parallelism: Number(p) }
      return argon2idText(password, cost, Buffer.from(salt, 'base64'), Buffer.from(tag, 'base64').length)
    },
  },
  {
    shape: SCRYPT,
    tooCostly: ([ln = 0, r = 0, p = 0]) => (2 ** ln * r) / 8 > MOST_MEMORY || ln < 1 || r < 1 || p < 1 || p > 16,
    again: (password, like) => {
      const [, ln, r, p, salt = '', tag = ''] = SCRYPT.exec(like) ?? []
      const cost = { ln: Number(ln), r: Number(r), p: Number(p) }
      return scryptText(password, cost, Buffer.from(salt, 'base64'), Buffer.from(tag, 'base64').length)
    },
  },
  {
    shape: BCRYPT,
    tooCostly: ([cost = 0]) => cost > 15,
    // htpasswd writes $2y$, which is what everybody else calls $2b$.
    again: (password, like) => like.slice(0, 4) + bcrypt.hashSync(password, `$2b$${like.slice(4)}`).slice(4),
  },
  {
    shape: SHA_CRYPT,
    tooCostly: ([rounds = 5000]) => rounds > 2_000_000,
    again: (password, like) => shaCrypt(password, like.slice(0, like.lastIndexOf('$'))),
  },
  { shape: CLEAR, tooCostly: () => false, again: (password) => hashOfClear(password) },
]

/** Weak schemes that old files still hold, by how their hashes begin. */
const WEAK: readonly (readonly [RegExp, string])[] = [
  [/^\$(apr1|1)\$/, 'is an MD5 hash, which is guessed too quickly'],
  [/^\{(SHA|SSHA|MD5|SMD5)\}/i, 'is a single SHA-1 or MD5, which is guessed too quickly'],
  [/^\$(7|y|gy)\$/, 'is a yescrypt hash, which is not supported'],
  [/^\$argon2(i|d)\$/, 'is not argon2id'],
  [CLEAR, 'is a single SHA-256'],
]

/** @throws HashError where it is a hash that cannot be used */
export function checkHash(text: string): void {
  const remedy = 'make a new one with "sallyport hash"'
  for (const [start, reason] of WEAK) if (start.test(text)) throw new HashError(`${reason}; ${remedy}`)
  const scheme = schemeOf(text)
  if (!scheme) throw new HashError(`is no argon2id, scrypt, bcrypt or SHA-crypt hash that is whole; ${remedy}`)
  const costs = scheme.shape
    .exec(text)
    ?.slice(1)
    .flatMap((cost) => (/^\d+$/.test(cost ?? '') ? [Number(cost)] : []))
  if (scheme.tooCostly(costs ?? [])) throw new HashError(`takes too much time or memory to check; ${remedy}`)
}

/** Whether a text looks like a hash, so that a damaged one is never taken for a password in clear text. */
export function looksLikeHash(text: string): boolean {
  return text.startsWith('$') || /^\{\w+\}/.test(text)
}

/** What a password in clear is compared by. */
export function hashOfClear(password: string): string {
  return `$clear$${createHash('sha256').update(password).digest('hex')}`
}

/** Slow and blocking: only for worker threads and the command line. */
export function matches(password: string, hash: string): boolean {
  const computed = Buffer.from(schemeOf(hash)?.again(password, hash) ?? '')
  const expected = Buffer.from(hash)
  return computed.length === expected.length && timingSafeEqual(computed, expected)
}

/** A new hash, with the costs that OWASP recommends (2024); crypt's own for SHA-crypt, times ten. Takes long, and blocks. */
export function hashPassword(password: string, algorithm: Algorithm): string {
  switch (algorithm) {
    case 'argon2id':
      return argon2idText(password, { memory: 19_456, passes: 2, parallelism: 1 }, randomBytes(16), 32)
    case 'scrypt':
      return scryptText(password, { ln: 15, r: 8, p: 3 }, randomBytes(16), 32)
    case 'bcrypt':
      return bcrypt.hashSync(password, 12)
    case 'sha256':
    case 'sha512':
      return shaCrypt(password, `$${algorithm === 'sha256' ? 5 : 6}$rounds=50000$${cryptSalt()}`)
  }
}

/** A hash that no password has and that costs as much as `hash`: for users who are not there. */
export function decoyOf(hash: string): string {
  const at = hash.lastIndexOf('$') + (BCRYPT.test(hash) ? 23 : 1)
  return hash.slice(0, at) + hash.slice(at).replaceAll(/[A-Za-z0-9]/g, (c) => (c === 'x' ? 'y' : 'x'))
}

function schemeOf(text: string): Scheme | undefined {
  return SCHEMES.find(({ shape }) => shape.test(text))
}

function argon2idText(
  password: string,
  cost: { readonly memory: number; readonly passes: number; readonly parallelism: number },
  nonce: Buffer,
  tagLength: number,
): string {
  const tag = argon2Sync('argon2id', { message: password, nonce, tagLength, ...cost })
  return `$argon2id$v=19$m=${cost.memory},t=${cost.passes},p=${cost.parallelism}$${unpadded(nonce)}$${unpadded(tag)}`
}

function scryptText(
  password: string,
  { ln, r, p }: { readonly ln: number; readonly r: number; readonly p: number },
  salt: Buffer,
  length: number,
): string {
  const N = 2 ** ln
  const tag = scryptSync(password, salt, length, { N, r, p, maxmem: 256 * N * r + 2 ** 20 })
  return `$scrypt$ln=${ln},r=${r},p=${p}$${unpadded(salt)}$${unpadded(tag)}`
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}

function cryptSalt(): string {
  return randomBytes(12).toString('base64').replaceAll('+', '.')
}
