/** A header made of several facts and text: `id={serial};dn={subject_dn|quoted}`, compiled when the configuration is read. */
import { type IdentityField, identityValue } from './fields.ts'
import type { Value } from './presets.ts'

/** How a fact that may hold anything is kept from being read as the text around it. */
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

/** A fact that is missing leaves the header out: half a sentence would say something else. */
export function compileTemplate(parts: readonly TemplatePart[]): Value {
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
