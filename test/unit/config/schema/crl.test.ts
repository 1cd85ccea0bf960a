import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { checkCrlSizes, openCrl } from '../../../../src/config/schema/crl.ts'
import { whileClosed } from '../../../support/folder.ts'
import { temporaryFolder } from '../support.ts'

const folder = temporaryFolder()
const files = new Set<string>()
const open = (written: string | string[]) => openCrl(written, 'ssl_crl', { folders: ['/', folder], files })
const place = (...names: string[]) => join(folder, ...names)
const PEM = '-----BEGIN X509 CRL-----\nMAMBAgM=\n-----END X509 CRL-----\n'

describe('ssl_crl', () => {
  test('takes a file, which is watched and not read yet', () => {
    expect(open('ca.crl').parts).toEqual([{ file: place('ca.crl'), size: expect.any(Number) }])
    expect(files).toContain(place('ca.crl'))
  })

  test('takes PEM text and base64 of it, and never shows them', () => {
    for (const written of [PEM, PEM.trim().replaceAll('\n', '\\n'), Buffer.from(PEM).toString('base64')]) {
      const source = open(written)
      expect(source.parts).toEqual([{ text: expect.stringContaining('MAMBAgM=') }])
      expect(JSON.stringify(source)).toBe('"(inline)"')
      expect(source.name).toBe('ssl_crl')
    }
  })

  test('whose folder is closed is watched, as it may be opened later', () => {
    const files = new Set<string>()
    const open = () => openCrl('ca.crl', 'ssl_crl', { folders: [folder], files })
    expect(() => whileClosed(folder, open)).toThrow(`names ${place('ca.crl')}, which this user may not read`)
    expect([...files]).toEqual([place('ca.crl')])
  })

  test('takes a folder: its files in order, without those whose name begins with a dot, and it is watched', () => {
    mkdirSync(place('lists', '..2026'), { recursive: true })
    writeFileSync(place('lists', '..2026', 'b.crl'), PEM)
    symlinkSync('..2026', place('lists', '..data'))
    symlinkSync('..data/b.crl', place('lists', 'b.crl'))
    writeFileSync(place('lists', 'a.pem'), PEM)
    const source = open('lists')
    expect(source.parts).toMatchObject([{ file: place('lists', 'a.pem') }, { file: place('lists', 'b.crl') }])
    expect(source.name).toBe(place('lists'))
    expect([...files]).toEqual(expect.arrayContaining([place('lists'), place('lists', 'a.pem')]))
  })

  test('tells what it skips in a folder, and watches it: what a link names may come later', () => {
    mkdirSync(place('mixed', 'folder'), { recursive: true })
    writeFileSync(place('mixed', 'a.pem'), PEM)
    symlinkSync('circle', place('mixed', 'circle'))
    symlinkSync('../away.crl', place('mixed', 'dangling'))
    const { parts, skipped } = open('mixed')
    expect(parts).toMatchObject([{ file: place('mixed', 'a.pem') }])
    expect(skipped).toEqual(['circle', 'dangling', 'folder'].map((name) => place('mixed', name)))
    expect([...files]).toEqual(expect.arrayContaining([...skipped]))
  })

  test('takes several of them', () => {
    expect(open(['ca.crl', PEM]).parts).toMatchObject([{ file: place('ca.crl') }, { text: PEM }])
  })

  test('refuses a file that is larger than allowed, by its name, whichever of them it is', () => {
    writeFileSync(place('large.crl'), PEM.repeat(20))
    const source = open(['ca.crl', 'large.crl', PEM.repeat(20)])
    expect(checkCrlSizes(source, 1024, 'ssl_crl_max_size')).toEqual([
      { path: 'ssl_crl', message: `names ${place('large.crl')}, which has 1140 bytes; ssl_crl_max_size allows 1024` },
    ])
    expect(checkCrlSizes(source, 1140, 'ssl_crl_max_size')).toEqual([])
    expect(checkCrlSizes(undefined, 1024, 'ssl_crl_max_size')).toEqual([])
  })

  test('refuses a folder with more files than can be opened in any time that is worth waiting for', () => {
    mkdirSync(place('crowded'))
    for (let i = 0; i <= 10_000; i++) symlinkSync('../ca.crl', place('crowded', `${i}`))
    expect(() => open('crowded')).toThrow(`names the folder ${place('crowded')}, which holds more than 10000 files`)
  })

  test('refuses what is none of them, naming the path', () => {
    mkdirSync(place('empty'))
    expect(() => open('empty')).toThrow(`names the folder ${place('empty')}, which holds no file`)
    expect(() => open('missing.crl')).toThrow(`looked for /missing.crl and ${place('missing.crl')}`)
    expect(() => open('/dev/zero')).toThrow('is no file')
    expect(() => open([])).toThrow('is empty')
    expect(() => open('secret secret')).toThrow(/^(?!.*secret)/)
  })
})
