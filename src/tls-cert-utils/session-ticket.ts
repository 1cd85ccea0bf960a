import { createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto'
import { certificateInSession } from './session.ts'

/**
 * RFC 5077 4, as OpenSSL writes it with node:tls's keys: a name, an IV, the session encrypted with AES-128-CBC, and an HMAC-SHA-256 of all of that.
 */
const NAME = 16
const IV = 16
const MAC = 32
/** The parts of node:tls's 48 bytes: the name, the HMAC key, the AES key. */
const MAC_KEY = 16
const AES_KEY = 32

/**
 * The client's certificate, in DER, from a TLS 1.2 session ticket. It is read before the handshake, when OpenSSL has not looked at the ticket yet.
 * Undefined where the ticket does not belong to these keys, or there was no certificate.
 * @param keys as `server.setTicketKeys` takes them
 */
export function certificateInTicket(ticket: Buffer, keys: Buffer): Buffer | undefined {
  const end = ticket.length - MAC
  if (end <= NAME + IV || !ticket.subarray(0, NAME).equals(keys.subarray(0, NAME))) return undefined
  const mac = createHmac('sha256', keys.subarray(MAC_KEY, AES_KEY)).update(ticket.subarray(0, end)).digest()
  if (!timingSafeEqual(mac, ticket.subarray(end))) return undefined
  try {
    const cipher = createDecipheriv('aes-128-cbc', keys.subarray(AES_KEY), ticket.subarray(NAME, NAME + IV))
    const session = Buffer.concat([cipher.update(ticket.subarray(NAME + IV, end)), cipher.final()])
    return certificateInSession(session)
  } catch {
    // It was written with these keys, but in an unknown form.
    return undefined
  }
}
