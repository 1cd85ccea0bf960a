/** The `Header` of a plugin's answer: names and values for a client that is refused, so that exchanges of several steps work. */

/**
 * Headers that a plugin may not send to a client in the gateway's name: framing and hop-by-hop headers, cookies and redirections, whatever browsers
 * enforce, and headers that name the caller to backends.
 */
const WITHHELD =
  /^(connection|keep-alive|proxy-(?!authenticate$).*|te|trailer|transfer-encoding|upgrade|content-.*|set-cookie2?|location|refresh|clear-site-data|strict-transport-security|access-control-.*|alt-svc|date|age|server|via|vary|cache-control|x-request-id|x-content-type-options|verified|dn)$/

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}$/
/** Visible ASCII and blanks: nothing that could end the line (RFC 9110 5.5). */
const VALUE = /^[\t\x20-\x7e]{0,4096}$/
const MOST = 16

/** Flat name, value list of what may pass; whatever has another shape is left out. */
export function clientHeaders(header: unknown): string[] {
  if (typeof header !== 'object' || header === null) return []
  const flat: string[] = []
  for (const [name, values] of Object.entries(header)) {
    if (!TOKEN.test(name) || WITHHELD.test(name.toLowerCase())) continue
    for (const value of Array.isArray(values) ? values : [values]) {
      if (typeof value === 'string' && VALUE.test(value) && flat.length < 2 * MOST) flat.push(name, value)
    }
  }
  return flat
}
