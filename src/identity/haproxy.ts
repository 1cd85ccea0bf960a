/** Prints facts about a certificate as HAProxy's sample fetches do. */
import { X509_ERROR_NUMBERS } from '../tls-cert-utils/verify-errors.ts'
import type { Verification } from '../types.ts'

/** `ssl_c_verify`: 0, or OpenSSL's number. Undefined without a certificate, where HAProxy says 0 as well. */
export function haproxyVerify(verification: Verification): string | undefined {
  if (verification.result === 'NONE') return undefined
  if (verification.result === 'SUCCESS') return '0'
  return String(X509_ERROR_NUMBERS.get(verification.code) ?? UNSPECIFIED)
}

/** X509_V_ERR_UNSPECIFIED. */
const UNSPECIFIED = 1

/** `ssl_c_notbefore`: YYMMDDhhmmssZ, in later centuries too. */
export function haproxyTime(time: number): string {
  const date = new Date(time)
  if (Number.isNaN(date.getTime())) return ''
  return `${date
    .toISOString()
    .replace(/\.\d+Z$/, '')
    .replaceAll(/[-:T]/g, '')
    .slice(2)}Z`
}
