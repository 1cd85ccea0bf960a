/**
 * A client of TLS 1.3 that is asked for its ClientHello again (HelloRetryRequest, RFC 8446 4.1.4) and sends another one than before, which no TLS
 * library does. It speaks TLS_AES_128_GCM_SHA256 and x25519 only, sends a client certificate with a P-256 key, and verifies nothing of the server.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  randomBytes,
  sign,
} from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Issued } from './pki.ts'

export interface Offer {
  readonly servername: string
  readonly alpn: readonly string[]
}

export interface Retried {
  /** Whether the server asked for a client certificate. */
  readonly asked: boolean
  /** What came behind the handshake, as text. */
  readonly answer: string
}

const [HANDSHAKE, APPLICATION_DATA] = [22, 23]
const HASH = 32
const X25519 = number(0x001d)
/** The random of a ServerHello that is a HelloRetryRequest. */
const RETRY = createHash('sha256').update('HelloRetryRequest').digest()

/**
 * Sends the first offer without a key, so that the server asks again, and then the second; then the request.
 * @throws where the server ends the handshake
 */
export async function afterRetry(
  port: number,
  [first, second]: readonly [Offer, Offer],
  { as, request }: { readonly as?: Issued; readonly request: string },
): Promise<Retried> {
  const socket = connect({ host: '127.0.0.1', port })
  const records = new Records(socket)
  try {
    const keys = generateKeyPairSync('x25519')
    const hello = helloOf([randomBytes(32), randomBytes(32)])
    const firstHello = hello(first)
    records.send(HANDSHAKE, firstHello)
    const retry = await records.message()
    if (!retry.subarray(6, 38).equals(RETRY)) throw new Error('the server does not ask again')
    const secondHello = hello(second, keys.publicKey.export({ type: 'spki', format: 'der' }).subarray(-32))
    records.send(HANDSHAKE, secondHello)
    const serverHello = await records.message()
    const transcript = [message(254, digest(firstHello)), retry, secondHello, serverHello]

    const early = extract(Buffer.alloc(HASH), Buffer.alloc(HASH))
    const shared = diffieHellman({ privateKey: keys.privateKey, publicKey: keyOf(shareIn(serverHello)) })
    const handshakeSecret = extract(derived(early), shared)
    const ours = secretOf(handshakeSecret, 'c hs traffic', transcript)
    const theirs = secretOf(handshakeSecret, 's hs traffic', transcript)
    records.decryptBy(theirs)
    let asking: Buffer | undefined
    for (let last: number | undefined; last !== 20; ) {
      const next = await records.message()
      last = next[0]
      if (last === 13) asking = next
      transcript.push(next)
    }
    const main = extract(derived(handshakeSecret), Buffer.alloc(HASH))
    const [oursAfter, theirsAfter] = ['c ap traffic', 's ap traffic'].map((label) => secretOf(main, label, transcript))
    records.encryptBy(ours)
    if (asking) for (const proof of proofsOf(as, transcript)) records.send(HANDSHAKE, proof)
    records.send(HANDSHAKE, message(20, hmac(expand(ours, 'finished', Buffer.alloc(0), HASH), digest(...transcript))))
    records.encryptBy(oursAfter as Buffer)
    records.decryptBy(theirsAfter as Buffer)
    records.send(APPLICATION_DATA, Buffer.from(request, 'latin1'))
    return { asked: asking !== undefined, answer: await records.text() }
  } finally {
    socket.destroy()
  }
}

/** Certificate and CertificateVerify; each is added to the transcript. */
function* proofsOf(as: Issued | undefined, transcript: Buffer[]): Generator<Buffer> {
  const chain = as ? vector(3, Buffer.concat([vector(3, as.der), number(0)])) : vector(3, Buffer.alloc(0))
  const certificate = message(11, Buffer.concat([Buffer.from([0]), chain]))
  transcript.push(certificate)
  yield certificate
  if (!as) return
  const context = Buffer.from(`${' '.repeat(64)}TLS 1.3, client CertificateVerify\0`)
  const signature = sign('sha256', Buffer.concat([context, digest(...transcript)]), as.privateKey)
  const verify = message(15, Buffer.concat([number(0x0403), vector(2, signature)]))
  transcript.push(verify)
  yield verify
}

/** Both hellos have the same random and session id. @param share the key; without one the server has to ask again */
function helloOf([random, session]: readonly [Buffer, Buffer]) {
  return ({ servername, alpn }: Offer, share?: Buffer): Buffer => {
    const extensions = [
      [0, vector(2, Buffer.concat([Buffer.from([0]), vector(2, Buffer.from(servername))]))],
      [10, vector(2, X25519)],
      [13, vector(2, Buffer.from('040308040401', 'hex'))],
      [16, vector(2, Buffer.concat(alpn.map((name) => vector(1, Buffer.from(name)))))],
      [43, vector(1, number(0x0304))],
      [51, vector(2, share ? Buffer.concat([X25519, vector(2, share)]) : Buffer.alloc(0))],
    ].map(([type, body]) => Buffer.concat([number(type as number), vector(2, body as Buffer)]))
    const head = [number(0x0303), random, vector(1, session), vector(2, number(0x1301)), vector(1, Buffer.from([0]))]
    return message(1, Buffer.concat([...head, vector(2, Buffer.concat(extensions))]))
  }
}

function shareIn(serverHello: Buffer): Buffer {
  const at = serverHello.indexOf(Buffer.concat([number(51), number(36), X25519, number(32)]))
  if (at === -1) throw new Error('the server has sent no key')
  return serverHello.subarray(at + 8, at + 40)
}

function keyOf(share: Buffer) {
  const der = Buffer.concat([Buffer.from('302a300506032b656e032100', 'hex'), share])
  return createPublicKey({ key: der, format: 'der', type: 'spki' })
}

/** Records of one connection, in clear until a secret is set. */
class Records {
  readonly #socket: Socket
  #bytes = Buffer.alloc(0)
  #messages = Buffer.alloc(0)
  #sealing: Traffic | undefined
  #opening: Traffic | undefined

  constructor(socket: Socket) {
    this.#socket = socket.on('error', () => {})
    socket.on('data', (bytes: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, bytes])
    })
  }

  encryptBy(secret: Buffer): void {
    this.#sealing = new Traffic(secret)
  }

  decryptBy(secret: Buffer): void {
    this.#opening = new Traffic(secret)
  }

  send(type: number, content: Buffer): void {
    this.#socket.write(this.#sealing?.seal(type, content) ?? recordOf(type, content))
  }

  /** The next handshake message. */
  async message(): Promise<Buffer> {
    for (;;) {
      const length = this.#messages.length < 4 ? Number.POSITIVE_INFINITY : 4 + this.#messages.readUIntBE(1, 3)
      if (this.#messages.length >= length) {
        const next = this.#messages.subarray(0, length)
        this.#messages = this.#messages.subarray(length)
        return next
      }
      const record = await this.#next()
      if (!record || record.type === 21)
        throw new Error(`the server ends the handshake: ${record?.content.toString('hex')}`)
      if (record.type === HANDSHAKE) this.#messages = Buffer.concat([this.#messages, record.content])
    }
  }

  /** What the server sends until it ends the connection, alerts included. */
  async text(): Promise<string> {
    let text = ''
    for (let record = await this.#next(); record && record.type !== 21; record = await this.#next())
      if (record.type === APPLICATION_DATA) text += record.content.toString('latin1')
    return text
  }

  /** Undefined at the end of the connection. */
  async #next(): Promise<{ type: number; content: Buffer } | undefined> {
    for (;;) {
      const end = this.#bytes.length < 5 ? Number.POSITIVE_INFINITY : 5 + this.#bytes.readUInt16BE(3)
      if (this.#bytes.length >= end) {
        const record = this.#bytes.subarray(0, end)
        this.#bytes = this.#bytes.subarray(end)
        const type = record[0] as number
        // Alerts and change_cipher_spec may be in clear.
        if (!this.#opening || type !== APPLICATION_DATA) return { type, content: record.subarray(5) }
        return this.#opening.open(record)
      }
      if (this.#socket.destroyed || this.#socket.readableEnded) return undefined
      await Promise.race([once(this.#socket, 'data'), once(this.#socket, 'end'), once(this.#socket, 'close')])
    }
  }
}

/** AES-128-GCM by one traffic secret (RFC 8446 5.2, 5.3). */
class Traffic {
  readonly #key: Buffer
  readonly #iv: Buffer
  #count = 0n

  constructor(secret: Buffer) {
    this.#key = expand(secret, 'key', Buffer.alloc(0), 16)
    this.#iv = expand(secret, 'iv', Buffer.alloc(0), 12)
  }

  #nonce(): Buffer {
    const nonce = Buffer.from(this.#iv)
    nonce.writeBigUInt64BE(nonce.readBigUInt64BE(4) ^ this.#count++, 4)
    return nonce
  }

  seal(type: number, content: Buffer): Buffer {
    const header = recordOf(APPLICATION_DATA, Buffer.alloc(content.length + 17)).subarray(0, 5)
    const cipher = createCipheriv('aes-128-gcm', this.#key, this.#nonce()).setAAD(header)
    return Buffer.concat([
      header,
      cipher.update(content),
      cipher.update(Buffer.from([type])),
      cipher.final(),
      cipher.getAuthTag(),
    ])
  }

  open(record: Buffer): { type: number; content: Buffer } {
    const decipher = createDecipheriv('aes-128-gcm', this.#key, this.#nonce()).setAAD(record.subarray(0, 5))
    decipher.setAuthTag(record.subarray(-16))
    const content = Buffer.concat([decipher.update(record.subarray(5, -16)), decipher.final()])
    return { type: content.at(-1) as number, content: content.subarray(0, -1) }
  }
}

function recordOf(type: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type, 3, 3]), vector(2, content)])
}

function message(type: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from([type]), vector(3, body)])
}

function number(value: number): Buffer {
  return Buffer.from([value >> 8, value & 255])
}

/** With its length before it, in so many bytes. */
function vector(width: number, content: Buffer): Buffer {
  const length = Buffer.alloc(width)
  length.writeUIntBE(content.length, 0, width)
  return Buffer.concat([length, content])
}

function digest(...messages: readonly Buffer[]): Buffer {
  return createHash('sha256').update(Buffer.concat(messages)).digest()
}

function hmac(key: Buffer, text: Buffer): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

/** HKDF-Extract; HKDF-Expand-Label of RFC 8446 7.1. */
const extract = hmac

function expand(secret: Buffer, label: string, context: Buffer, length: number): Buffer {
  const info = Buffer.concat([
    number(length),
    vector(1, Buffer.from(`tls13 ${label}`)),
    vector(1, context),
    Buffer.from([1]),
  ])
  return hmac(secret, info).subarray(0, length)
}

function secretOf(secret: Buffer, label: string, transcript: readonly Buffer[]): Buffer {
  return expand(secret, label, digest(...transcript), HASH)
}

function derived(secret: Buffer): Buffer {
  return secretOf(secret, 'derived', [])
}
