import { isNamed } from './field-names.ts'

/** All values of one header, whatever its letter case. Of some headers node:http keeps only the first. */
export function headerValues(rawHeaders: readonly string[], lowerCaseName: string): readonly string[] {
  const values: string[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (isNamed(rawHeaders[i] as string, lowerCaseName)) values.push(rawHeaders[i + 1] as string)
  }
  return values
}
