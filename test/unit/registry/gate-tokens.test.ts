import { expect, test } from '@jest/globals'
import { createGateTokens } from '../../../src/registry/gate-tokens.ts'
import type { TokenClaims } from '../../../src/registry/token-signer.ts'

const LIFETIME = 300_000
const NOW = 1_700_000_000_000
const pull = (name: string) => ({ type: 'repository', name, actions: ['pull'] })

/** Tokens that are numbered in the order in which they are signed. */
function made() {
  const signed: TokenClaims[] = []
  const sign = (claims: TokenClaims) => `number-${signed.push(claims)}`
  return { signed, tokens: createGateTokens({ sign } as never, 'registry', LIFETIME) }
}

test('a token says for whom it is and what it is good for, and serves nobody and nothing else', () => {
  const { signed, tokens } = made()
  const app = tokens.authorization('ada', [pull('app')], NOW)
  expect([app, tokens.authorization('ada', [pull('app')], NOW + 1)]).toEqual(['Bearer number-1', 'Bearer number-1'])
  expect(tokens.authorization('ada', [pull('other')], NOW)).toBe('Bearer number-2')
  expect(tokens.authorization('bob', [pull('app')], NOW)).toBe('Bearer number-3')
  expect(tokens.authorization('ada', [], NOW)).toBe('Bearer number-4')
  expect(signed[0]).toEqual({
    ...{ subject: 'ada', audience: 'registry', access: [pull('app')] },
    ...{ issuedAt: NOW / 1000, expiresAt: (NOW + LIFETIME) / 1000 },
  })
})

test('a token is replaced while a quarter of its life is left', () => {
  const { tokens } = made()
  const at = (now: number) => tokens.authorization('ada', [pull('app')], now)
  expect([at(NOW), at(NOW + LIFETIME * 0.74)]).toEqual(['Bearer number-1', 'Bearer number-1'])
  expect([at(NOW + LIFETIME * 0.76), at(NOW + LIFETIME)]).toEqual(['Bearer number-2', 'Bearer number-2'])
})

test('of very many the oldest is forgotten', () => {
  const { signed, tokens } = made()
  for (let i = 0; i <= 10_000; i++) tokens.authorization('ada', [pull(`app-${i}`)], NOW)
  tokens.authorization('ada', [pull('app-1')], NOW)
  expect(signed).toHaveLength(10_001)
  tokens.authorization('ada', [pull('app-0')], NOW)
  expect(signed).toHaveLength(10_002)
})
