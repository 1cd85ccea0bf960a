import { execFileSync } from 'node:child_process'
import { describe, expect, test } from '@jest/globals'
import {
  ALGORITHMS,
  checkHash,
  decoyOf,
  hashOfClear,
  hashPassword,
  looksLikeHash,
  matches,
} from '../../../../src/auth/passwords/hash.ts'

const PASSWORD = 'Grüße, Welt: 1$2'

describe.each(ALGORITHMS)('%s', (algorithm) => {
  const hash = hashPassword(PASSWORD, algorithm)

  test('a hash of ours is taken, and fits its password only', () => {
    checkHash(hash)
    expect([matches(PASSWORD, hash), matches(`${PASSWORD} `, hash), matches('', hash)]).toEqual([true, false, false])
  })

  test('no two hashes of a password are the same', () => {
    expect(hashPassword(PASSWORD, algorithm)).not.toBe(hash)
  })

  test('a decoy costs the same and fits no password', () => {
    const decoy = decoyOf(hash)
    checkHash(decoy)
    expect(decoy.slice(0, decoy.lastIndexOf('$'))).toBe(hash.slice(0, hash.lastIndexOf('$')))
    expect(matches(PASSWORD, decoy)).toBe(false)
  })
})

describe('hashes that others made', () => {
  const run = (...command: [string, ...string[]]) =>
    execFileSync(command[0], command.slice(1), { encoding: 'utf8' }).trim()

  test.each([
    ['htpasswd -B', () => run('htpasswd', '-nbB', 'ada', PASSWORD).slice(4)],
    ['openssl passwd -6', () => run('openssl', 'passwd', '-6', PASSWORD)],
    ['openssl passwd -5', () => run('openssl', 'passwd', '-5', '-salt', 'saltstring', PASSWORD)],
  ])('%s', (_, make) => {
    const hash = make()
    checkHash(hash)
    expect([matches(PASSWORD, hash), matches('x', hash)]).toEqual([true, false])
  })

  // Published with the algorithms: Drepper's SHA-crypt, OpenBSD's bcrypt, RFC 7914 12 (as passlib writes it), the reference argon2.
  test.each([
    ['Hello world!', '$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5'],
    [
      'Hello world!',
      '$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.',
    ],
    ['U*U', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
    [
      'pleaseletmein',
      `$scrypt$ln=14,r=8,p=1$${b64('SodiumChloride')}$${b64(
        Buffer.from(
          '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887',
          'hex',
        ),
      )}`,
    ],
    ['password', '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'],
  ])('%s', (password, hash) => {
    checkHash(hash)
    expect([matches(password, hash), matches(`${password}!`, hash)]).toEqual([true, false])
  })
})

function b64(bytes: string | Buffer): string {
  return Buffer.from(bytes).toString('base64').replace(/=+$/, '')
}

describe('hashes that are refused', () => {
  test.each([
    ['$apr1$Vq1/pQo6$AjMo9S2z7hTNkbhCMLmqR0', /MD5/],
    ['$1$abcdefgh$G//4keteveJp0qb8z2DxG/', /MD5/],
    ['{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=', /SHA-1/],
    ['$y$j9T$abc$def', /yescrypt/],
    ['$2y$05$tooshort', /that is whole/],
    [`$2y$05$${'A'.repeat(54)}`, /that is whole/],
    ['$6$salt$short', /that is whole/],
    [`$2y$31$${'A'.repeat(53)}`, /too much time/],
    [`$argon2id$v=19$m=9999999,t=1,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`, /too much time or memory/],
    [`$scrypt$ln=30,r=8,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`, /too much time or memory/],
    [`$scrypt$ln=18,r=9,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`, /too much time or memory/],
    [`$6$rounds=999999999$salt$${'A'.repeat(86)}`, /too much time/],
    [hashOfClear('secret'), /single SHA-256/],
  ])('%s', (hash, reason) => {
    expect(looksLikeHash(hash)).toBe(true)
    expect(() => checkHash(hash)).toThrow(reason)
    expect(() => checkHash(hash)).toThrow(/sallyport hash/)
  })

  test('the message never repeats the hash', () => {
    expect(() => checkHash('$9$s3cr3t')).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('s3cr3t') }),
    )
  })
})
