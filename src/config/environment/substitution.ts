/** `${NAME}` and `${NAME:-default}` in values. Only values are replaced, after the YAML is parsed, so that no variable can add YAML. */

export interface Substituted {
  readonly text: string
  /** The variables that were used. */
  readonly used: readonly string[]
  /** What is wrong, if something is. */
  readonly problem?: string
}

const REFERENCE = /\$?\$\{([^}]*)(\}?)/g
const NAME_AND_DEFAULT = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/

/** `$${` stands for a literal `${`. A default may not hold `}`. */
export function substitute(written: string, variable: (name: string) => string | undefined): Substituted {
  const used: string[] = []
  let problem: string | undefined
  const text = written.replace(REFERENCE, (whole: string, inside: string, end: string) => {
    if (whole.startsWith('$$')) return whole.slice(1)
    const [, name, otherwise] = end === '}' ? (NAME_AND_DEFAULT.exec(inside) ?? []) : []
    if (name === undefined) {
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is what the user shall write.
      problem ??= 'holds an unfinished ${; expected ${NAME} or ${NAME:-default}, or $${ for the characters themselves'
      return whole
    }
    if (otherwise?.includes('${'))
      problem ??= `holds a variable in the default of ${name}; expected a default without \${`
    used.push(name)
    const value = variable(name)
    // As in a shell, the default of `:-` also stands in for an empty value.
    if (otherwise !== undefined) return value ? value : otherwise
    if (value === undefined)
      problem ??= `uses the variable ${name}, which is not set; set it, or write \${${name}:-default}`
    return value ?? ''
  })
  return { text, used, ...(problem !== undefined && { problem }) }
}
