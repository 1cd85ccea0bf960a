/** Recognizes a file that should be PEM and is not, and says how to convert it. */

const SEQUENCE = 0x30
const INTEGER = 0x02
const OBJECT_IDENTIFIER = 0x06
const JAVA_KEYSTORE = Buffer.from([0xfe, 0xed, 0xfe, 0xed])
const UTF16 = [Buffer.from([0xff, 0xfe]), Buffer.from([0xfe, 0xff])]

/** Completes "names FILE, which …". Judged by the first bytes only: the rest may be a key. */
export function insteadOfPem(content: Buffer): string {
  if (content.length === 0) return 'is empty'
  if (UTF16.some((mark) => content.subarray(0, 2).equals(mark))) return 'is UTF-16; save it as UTF-8 or plain text'
  if (content.subarray(0, 4).equals(JAVA_KEYSTORE))
    return 'is a Java keystore; make PKCS #12 of it with keytool -importkeystore -deststoretype PKCS12, and PEM of that with: openssl pkcs12 -in FILE -nodes'
  if (content[0] !== SEQUENCE) return 'holds no PEM (no line begins with -----BEGIN)'
  const length = content[1] ?? 0
  const inside = content.subarray(length < 0x80 ? 2 : 2 + (length & 0x7f))
  if (inside[0] === OBJECT_IDENTIFIER)
    return 'is PKCS #7 in DER; make PEM of the certificates with: openssl pkcs7 -inform der -print_certs -in FILE'
  if (inside[0] !== INTEGER) return 'is DER; make PEM of a certificate with: openssl x509 -inform der -in FILE'
  // PKCS #12 begins with its version, 3 (RFC 7292 4); private keys with 0 or 1 (RFC 5958 2, RFC 5915 3).
  return inside[2] === 3
    ? 'is PKCS #12; make PEM of it with: openssl pkcs12 -in FILE -nodes'
    : 'is a private key in DER; make PEM of it with: openssl pkey -inform der -in FILE'
}
