/** A header made of several facts and text: `id={serial};dn={subject_dn|quoted}`, compiled when the configuration is read. */
import { type IdentityField, identityValue } from './fields.ts'
import type { HeaderValue } from './header-value.ts'

/** How a fact is encoded, so that no part of it can be read as the text around it. */
export type TemplateFilter = 'quoted' | 'escaped' | 'base64' | 'raw'

export type TemplatePart = string | { readonly fact: IdentityField; readonly filter?: TemplateFilter | undefined }

const FILTERS: Readonly<Record<TemplateFilter, (value: string) => string>> = {
  quoted,
  escaped: (value) => encodeURIComponent(value),
  base64: (value) => Buffer.from(value, 'utf8').toString('base64'),
  raw: (value) => value,
}

/** RFC 9110's quoted-string. */
function quoted(value: string): string {
  return `"${value.replace(/["\\]/g, '\\$&')}"`
}

/** The whole header is left out where one of its facts is missing: the rest alone would mean something else. */
export function compileTemplate(parts: readonly TemplatePart[]): HeaderValue {
  return ({ connection, identity }) => {
    let text = ''
    for (const part of parts) {
      if (typeof part === 'string') {
        text += part
        continue
      }
      const value = identityValue(part.fact, connection, identity)
      if (value === undefined || value === '') return undefined
      text += FILTERS[part.filter ?? 'raw'](value)
    }
    return text
  }
}
