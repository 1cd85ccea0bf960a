import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { loadConfig } from '../../src/config/index.ts'
import { describeProblem } from '../../src/errors.ts'
import { temporaryFile } from '../support/folder.ts'
import { PROJECT } from '../support/gateway.ts'

const PAGES = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...globSync('docs/*.md', { cwd: PROJECT })]
const read = (name: string) => readFileSync(join(PROJECT, name), 'utf8')
const proseOf = (page: string) => read(page).replace(/```[\s\S]*?```/g, '')

/** The anchors that GitHub gives to the headings of a page. */
function anchorsOf(page: string): Set<string> {
  const headings = [...proseOf(page).matchAll(/^#+ (.+)$/gm)]
  const words = headings.map(([, heading = '']) => heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, ''))
  return new Set(words.map((each) => each.replace(/ /g, '-')))
}

describe.each(PAGES)('%s', (page) => {
  test('links only to files and headings that are there', () => {
    const broken = [...proseOf(page).matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)].filter(
      ([, path = '', anchor]) => {
        const target = path === '' ? page : join(dirname(page), path)
        return !existsSync(join(PROJECT, target)) || (anchor !== undefined && !anchorsOf(target).has(anchor))
      },
    )
    expect(broken.map(([link]) => link)).toEqual([])
  })

  test('names only files and folders of ours that are there', () => {
    const named = [...read(page).matchAll(/`((?:src|test|bench|scripts|conf|plugins|bin)\/[\w./-]+)`/g)]
    expect(named.flatMap(([, path = '']) => (existsSync(join(PROJECT, path)) ? [] : [path]))).toEqual([])
  })

  // What a page leaves out for brevity: files of the reader's, the url of a service, what stands in another block, the middle of a hash.
  const LEFT_OUT =
    /names no readable file|: is missing,|there is nothing to serve|has neither url nor host|hash that is whole/
  // Manifests of Kubernetes, clouds.yaml and lists of users are no configurations.
  const OTHERS = /^(apiVersion:|# clouds|- )/
  const texts = [...read(page).matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(([, text = '']) => text)
  const blocks = texts.filter((text) => !OTHERS.test(text))
  for (const [index, text] of blocks.entries())
    test(`holds YAML that is understood, block ${index + 1}`, () => {
      const { problems } = loadConfig({ file: temporaryFile('block.yaml', text), env: { PWD: '/tmp' } })
      expect(problems.map(describeProblem).filter((each) => !LEFT_OUT.test(each))).toEqual([])
    })
})
