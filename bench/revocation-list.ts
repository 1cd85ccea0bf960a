/** Revocation lists of any length, signed by the bench's CA. */
import { createPrivateKey, sign, X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import type { KeyPair } from './pki.ts'

const ECDSA_WITH_SHA256 = Buffer.from('300a06082a8648ce3d040302', 'hex')

/** Writes a list of `count` serial numbers of 16 bytes each, as PEM; nobody who is measured is on it, unless he is named. */
export function writeRevocationList(
  file: string,
  authority: KeyPair,
  count: number,
  named: readonly Buffer[] = [],
): void {
  const key = createPrivateKey(readFileSync(authority.key))
  const certificate = new X509Certificate(readFileSync(authority.certificate))
  if (!certificate.checkPrivateKey(key)) throw new Error('the CA has another key')
  const now = Date.now()
  const content = tlv(
    0x30,
    Buffer.from([2, 1, 1]),
    ECDSA_WITH_SHA256,
    subjectOf(certificate),
    time(now - 3_600_000),
    time(now + 7 * 86_400_000),
    ...(count + named.length > 0 ? [tlv(0x30, entries(count), ...named.map(entry))] : []),
  )
  const signature = sign('sha256', content, key)
  const der = tlv(0x30, content, ECDSA_WITH_SHA256, tlv(0x03, Buffer.from([0]), signature))
  const base64 = der.toString('base64').replace(/.{64}/g, '$&\n')
  writeFileSync(file, `-----BEGIN X509 CRL-----\n${base64.trimEnd()}\n-----END X509 CRL-----\n`)
}

function entries(count: number): Buffer {
  const one = entry(Buffer.alloc(16, 0x40))
  const all = Buffer.alloc(one.length * count)
  for (let i = 0; i < count; i++) {
    one.copy(all, i * one.length)
    all.writeUInt32BE(i, i * one.length + 12)
    all.writeUInt32BE(Math.imul(i, 2654435761) >>> 0, i * one.length + 16)
  }
  return all
}

function entry(serial: Buffer): Buffer {
  return tlv(0x30, tlv(0x02, serial), time(Date.now() - 86_400_000))
}

/** The INTEGER content of a certificate's serial number. */
export function serialOf(certificate: string): Buffer {
  const bytes = Buffer.from(new X509Certificate(readFileSync(certificate)).serialNumber, 'hex')
  return (bytes[0] as number) < 0x80 ? bytes : Buffer.concat([Buffer.from([0]), bytes])
}

/** The Name of a certificate that has the seven fields of version 3. */
function subjectOf({ raw }: X509Certificate): Buffer {
  let position = headerEnd(raw, headerEnd(raw, 0).contentStart).contentStart
  const fields: Buffer[] = []
  while (fields.length < 6) {
    const { end } = headerEnd(raw, position)
    fields.push(raw.subarray(position, end))
    position = end
  }
  return fields[5] as Buffer
}

function headerEnd(bytes: Buffer, position: number): { contentStart: number; end: number } {
  const first = bytes[position + 1] as number
  const octets = first < 0x80 ? 0 : first & 0x7f
  const contentStart = position + 2 + octets
  const length = octets === 0 ? first : bytes.readUIntBE(position + 2, octets)
  return { contentStart, end: contentStart + length }
}

function time(milliseconds: number): Buffer {
  const digits = new Date(milliseconds).toISOString().replace(/[-:T]|\.\d+/g, '')
  return tlv(0x17, Buffer.from(digits.slice(2)))
}

function tlv(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  const octets: number[] = []
  for (let rest = content.length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256)
  const length = content.length < 0x80 ? [content.length] : [0x80 | octets.length, ...octets]
  return Buffer.concat([Buffer.from([tag, ...length]), content])
}
