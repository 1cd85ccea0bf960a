/** A decision as text, in the order in which it was made. */
import type { Decision } from './decision.ts'

export function decisionReport(decision: Decision): string[] {
  const { user, refusal, rules, headers } = decision
  const rows: [string, string | undefined][] = [
    ['listener', decision.listen],
    ['server', `${decision.server} (ssl_verify_client ${decision.ssl_verify_client})`],
    ['verified', decision.verified],
    ['route', decision.route && `${decision.route} -> ${decision.service}`],
    ['mapping', decision.mapping],
    ['user', user && `${user.name} (id ${user.id})`],
    ['groups', user && (user.groups.join(', ') || 'none')],
    ['proved by', decision.methods.join(', ') || undefined],
    ['decided by', decision.decided_by],
    ['answer', refusal ? `${refusal.status} ${refusal.code}: ${refusal.detail}` : 'goes to the service, which gets'],
  ]
  const tried = rules.map(
    ({ at, rule, matched, reason }) => `    ${matched ? 'yes' : 'no '} ${rule} (${at}): ${reason}`,
  )
  const more = decision.rules_left_out > 0 ? [`    and ${decision.rules_left_out} more that do not match`] : []
  const written = rows.flatMap(([label, value]) => {
    const line = value === undefined ? [] : [`  ${label.padEnd(16)}${value}`]
    if (label === 'verified') line.push(...decision.findings.map((finding) => `    wrong: ${finding}`))
    return label === 'route' && tried.length > 0
      ? [...line, '  rules, of which the first counts', ...tried, ...more]
      : line
  })
  return ['', decision.request, ...written, ...headers.map(([name, value]) => `    ${name}: ${value}`)]
}
