#!/usr/bin/env node
/**
 * A certificate-mapping plugin that reads its rules from a YAML file:
 *
 *   node plugins/certmap-file.js --rules rules.yaml --socket /run/docker/plugins/file.sock
 *
 *   - { email: ada@example.com, user: ada, groups: [dev] }
 *   - { dns: build.example.com, user: builder, uid: 1001 }
 *   - { fingerprint: 3f786850e387550fdab836ed7e6dc881de23001b…, user: root }
 *
 * Each rule names one thing that the certificate must hold, exactly. The first that matches wins. The file is read again whenever it changes; a broken
 * one keeps the rules that were in use. The gateway has verified the certificate; whose it is must not depend on what anybody may write into one, so
 * there is no rule for a common name.
 */
import { createHash } from 'node:crypto'
import { readFileSync, watchFile } from 'node:fs'
import { parse } from 'yaml'
import { fail, readOptions, serveCertmap } from './certmap-server.js'

/** Exact: a wildcard certificate is not every name that it covers, and the subject is no place for a host. */
const EXACTLY = { subject: 'never', wildcards: false, partialWildcards: false }

const KINDS = {
  email: (certificate, value) => certificate.checkEmail(value, EXACTLY) !== undefined,
  dns: (certificate, value) => certificate.checkHost(value, EXACTLY) !== undefined,
  fingerprint: (certificate, value) => sha256(certificate.raw) === hex(value),
  spki: (certificate, value) => sha256(certificate.publicKey.export({ type: 'spki', format: 'der' })) === hex(value),
}

function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex')
}

function hex(value) {
  return value.replaceAll(':', '').toLowerCase()
}

/** Throws for whatever is not understood: a rule that is skipped is a user who wonders. */
function readRules(file) {
  const rules = parse(readFileSync(file, 'utf8'))
  if (!Array.isArray(rules)) throw new Error('expected a list of rules')
  return rules.map((rule, index) => {
    const { user: name, uid, groups = [], ...conditions } = rule ?? {}
    const [[kind, value] = [], ...more] = Object.entries(conditions)
    if (typeof name !== 'string' || name === '') throw new Error(`rule ${index + 1}: user is missing`)
    if (!Object.hasOwn(KINDS, kind) || typeof value !== 'string' || more.length > 0) {
      throw new Error(`rule ${index + 1}: expected one of ${Object.keys(KINDS).join(', ')}, with a text`)
    }
    if (!Array.isArray(groups)) throw new Error(`rule ${index + 1}: groups is no list`)
    return {
      matches: (certificate) => KINDS[kind](certificate, value),
      found: { name, uid, groups: groups.map(String) },
    }
  })
}

const values = readOptions(['rules', 'socket'], 'certmap-file.js --rules FILE --socket PATH')

function rulesAtStart() {
  try {
    return readRules(values.rules)
  } catch (error) {
    return fail(`${values.rules}: ${error.message}`)
  }
}

let rules = rulesAtStart()
watchFile(values.rules, { interval: 1000, persistent: false }, () => {
  try {
    rules = readRules(values.rules)
    process.stdout.write(`read ${rules.length} rules\n`)
  } catch (error) {
    process.stderr.write(`${values.rules}: ${error.message}; the rules in use were kept\n`)
  }
})
await serveCertmap(values.socket, (certificate) => rules.find(({ matches }) => matches(certificate))?.found)
