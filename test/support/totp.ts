/** An authenticator app, as RFC 6238 describes it and apart from the gateway's own code. */
import { createHmac } from 'node:crypto'

/** The code of the present time step, or of one `steps` away. `secret` is base32. */
export function totpCode(secret: string, steps = 0, now = Date.now()): string {
  const bits = [...secret].map((letter) =>
    'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0'),
  )
  const bytes = bits.join('').match(/.{8}/g) ?? []
  const key = Buffer.from(bytes.map((byte) => Number.parseInt(byte, 2)))
  const counter = (Math.floor(now / 30_000) + steps).toString(16).padStart(16, '0')
  const mac = createHmac('sha1', key).update(Buffer.from(counter, 'hex')).digest()
  const value =
    Number.parseInt(
      mac
        .subarray((mac.at(-1) ?? 0) & 15)
        .toString('hex')
        .slice(0, 8),
      16,
    ) %
    2 ** 31
  return `${value % 1_000_000}`.padStart(6, '0')
}
