import type { Receipt } from './receipts.ts'

/** UTC with six digits after the second: Keystone's clients parse exactly this. */
export function keystoneTime(milliseconds: number): string {
  return new Date(milliseconds).toISOString().replace('Z', '000Z')
}

/**
 * Keystone's body beside a receipt: what is passed already, and the combinations that would do.
 * @param methods those that were passed
 * @param user as Keystone writes one, with the domain
 */
export function receiptBody(
  methods: readonly string[],
  user: object,
  { issuedAt, expiresAt }: Receipt,
  required: readonly (readonly string[])[],
): Record<string, unknown> {
  return {
    receipt: { methods, user, expires_at: keystoneTime(expiresAt), issued_at: keystoneTime(issuedAt) },
    required_auth_methods: required,
  }
}
