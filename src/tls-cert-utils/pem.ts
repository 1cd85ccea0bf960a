import { DerError, readElement } from './der.ts'

/** One block of a PEM text (RFC 7468). */
export interface PemBlock {
  /** As `CERTIFICATE`. */
  readonly label: string
  /** Empty where the block is encrypted in the legacy way (RFC 1421 headers): only `text` is of use then. */
  readonly der: Buffer
  /** The block alone, with LF line ends and headers, without what OpenSSL adds to a TRUSTED CERTIFICATE. */
  readonly text: string
}

/** A broken PEM text. The message names the place, never the content. */
export class PemError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'PemError'
  }
}

const BEGIN = /^-----BEGIN ([A-Z0-9 ]+)-----$/
const BOUNDARY = /^\s*-----\s*(BEGIN|END)/
/** The result of `$(cat FILE)` without quotes in a shell. */
const WITHOUT_BREAKS = /^\s*-----BEGIN [A-Z0-9 ]+-----\s*[A-Za-z0-9+/]/
const KEEP_BREAKS = 'write \\n for each, or base64 of the whole, or a path; in a shell quote "$(cat FILE)"'
/** Classes without groups: V8 repeats a group on its stack, which ends at some megabytes of text. */
const NO_BASE64 = /[^A-Za-z0-9+/]/
const PADDING = /={1,2}$/

/** OpenSSL's `x509 -trustout` appends its own data to the certificate, which TLS libraries refuse under the usual label. */
const TRUSTED_LABELS = new Set(['TRUSTED CERTIFICATE', 'X509 CERTIFICATE'])

/**
 * All blocks of a PEM text, in order. Text between blocks and CRLF line ends are allowed. A damaged or incomplete block is an error and never
 * skipped: a trust store that silently lost a certificate would be worse.
 * @throws {PemError}
 */
export function readPemBlocks(text: string): PemBlock[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r\n|\r|\n/)
  const blocks: PemBlock[] = []
  for (let index = 0; index < lines.length; index++) {
    const line = lines[index]?.trim() ?? ''
    const label = BEGIN.exec(line)?.[1]
    if (label === undefined) {
      if (WITHOUT_BREAKS.test(line)) throw new PemError(`the line breaks of line ${index + 1} are lost; ${KEEP_BREAKS}`)
      if (BOUNDARY.test(line)) throw new PemError(`line ${index + 1} is a damaged or misplaced PEM boundary`)
      continue
    }
    let end = index + 1
    while (end < lines.length && !BOUNDARY.test(lines[end] as string)) end++
    if (lines[end]?.trim() !== `-----END ${label}-----`) {
      throw new PemError(`the ${label} block that begins on line ${index + 1} has no END line`)
    }
    blocks.push(readBlock(label, lines.slice(index + 1, end), index + 1))
    index = end
  }
  return blocks
}

/** `, only PRIVATE KEY`: names what a text holds in place of what was expected. The labels come from a file, and may be anything. */
export function labelsInstead(blocks: readonly PemBlock[]): string {
  const labels = [...new Set(blocks.map(({ label }) => label.slice(0, 40)))].slice(0, 3)
  if (labels.length === 0) return ''
  const remedy = labels.map(remedyOf).find((each) => each !== '') ?? ''
  return `, only ${labels.join(', ')}${remedy}`
}

function remedyOf(label: string): string {
  if (label === 'CERTIFICATE' || /^((EC|RSA|DSA|ENCRYPTED) )?PRIVATE KEY$/.test(label))
    return ': certificate and key may be given the wrong way round'
  if (label === 'PKCS7') return '; make PEM of the certificates with: openssl pkcs7 -print_certs -in FILE'
  if (/^(NEW )?CERTIFICATE REQUEST$/.test(label)) return ': a request, which an authority must sign first'
  return ''
}

/** PEM text of DER: lines of 64 characters, and a line end last. */
export function pemOf(label: string, der: Uint8Array): string {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString('base64')
  return `-----BEGIN ${label}-----\n${base64.replace(/.{1,64}/g, '$&\n')}-----END ${label}-----\n`
}

function readBlock(label: string, lines: readonly string[], beginLine: number): PemBlock {
  const trimmed = lines.map((line) => line.trim())
  if (trimmed.some((line) => line.includes(':'))) {
    const text = `-----BEGIN ${label}-----\n${trimmed.join('\n')}\n-----END ${label}-----\n`
    return { label, der: Buffer.alloc(0), text }
  }
  const base64 = trimmed.join('')
  if (base64.length % 4 !== 0 || base64 === '' || NO_BASE64.test(base64.replace(PADDING, ''))) {
    throw new PemError(`the ${label} block that begins on line ${beginLine} is not base64`)
  }
  const whole = Buffer.from(base64, 'base64')
  if (!TRUSTED_LABELS.has(label)) return { label, der: whole, text: pemOf(label, whole) }
  const der = firstElement(whole, beginLine)
  return { label: 'CERTIFICATE', der, text: pemOf('CERTIFICATE', der) }
}

function firstElement(der: Buffer, beginLine: number): Buffer {
  try {
    return readElement(der).raw
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    throw new PemError(`the certificate that begins on line ${beginLine} is damaged: ${error.message}`)
  }
}
