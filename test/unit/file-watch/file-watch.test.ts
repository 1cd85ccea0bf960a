import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { FileWatch } from '../../../src/file-watch/file-watch.ts'

const folder = mkdtempSync(join(tmpdir(), 'sallyport-watch-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** More than are begun with at once. */
const files = Array.from({ length: 350 }, (_, i) => join(folder, `${i}`))

function replace(file: string, text: string): void {
  writeFileSync(`${file}.new`, text)
  renameSync(`${file}.new`, file)
}

test('of hundreds of files a change of any is told, and of none that is not watched any more', async () => {
  for (const file of files.slice(0, -1)) replace(file, 'before')
  const [first, last, forgotten] = [files[0] as string, files.at(-1) as string, files[200] as string]
  let changes = 0
  const watch = new FileWatch(() => changes++)
  try {
    watch.watch(files)
    watch.watch(files.filter((file) => file !== forgotten))
    await sleep(1000)
    replace(forgotten, 'after')
    await sleep(1500)
    expect(changes).toBe(0)
    replace(last, 'it was not there before')
    while (changes < 1) await sleep(20)
    replace(first, 'after')
    while (changes < 2) await sleep(20)
  } finally {
    watch.stop()
  }
})

test('that others may read a file, or that its folder is back as it was, is a change; that it was read is none', async () => {
  const within = join(folder, 'mounted')
  mkdirSync(within)
  const file = join(within, 'key')
  replace(file, 'key')
  let changes = 0
  const watch = new FileWatch(() => changes++)
  try {
    watch.watch([file])
    await sleep(500)
    readFileSync(file)
    await sleep(1500)
    expect(changes).toBe(0)
    chmodSync(file, 0o640)
    while (changes < 1) await sleep(20)
    renameSync(within, `${within}.away`)
    while (changes < 2) await sleep(20)
    renameSync(`${within}.away`, within)
    while (changes < 3) await sleep(20)
  } finally {
    watch.stop()
  }
})

test('of thousands of files a change is told at once, however seldom each is looked at', async () => {
  const mounted = join(folder, 'mounted-too')
  const lists = join(folder, 'lists')
  for (const each of [mounted, lists]) mkdirSync(each)
  const key = join(folder, 'one-of-many')
  for (const file of [key, join(mounted, '..data'), join(lists, 'list')]) replace(file, 'before')
  const many = Array.from({ length: 30_000 }, (_, i) => join(folder, `none-${i}`))
  let changes = 0
  const watch = new FileWatch(() => changes++)
  const told = async (change: () => void) => {
    const before = changes
    const started = performance.now()
    change()
    while (changes === before) await sleep(20)
    // Each is looked at once in a minute.
    expect(performance.now() - started).toBeLessThan(5000)
  }
  try {
    watch.watch([...many, key, join(mounted, 'link'), lists, join(lists, 'list')])
    await sleep(1500)
    writeFileSync(join(folder, 'another'), 'of no concern')
    await sleep(600)
    expect(changes).toBe(0)
    await told(() => replace(key, 'after'))
    await told(() => writeFileSync(key, 'in place'))
    await told(() => writeFileSync(many[20_000] as string, 'it was not there before'))
    await told(() => replace(join(mounted, '..data'), 'swapped'))
    await told(() => writeFileSync(join(lists, 'another list'), 'of a folder that is watched itself'))
    await told(() => rmSync(mounted, { recursive: true }))
  } finally {
    watch.stop()
  }
})

describe('of more files than are looked at each second', () => {
  let changes: number
  let watch: FileWatch
  let root: string
  beforeEach(() => {
    changes = 0
    root = mkdtempSync(join(folder, 'told-'))
  })
  afterEach(() => watch.stop())

  async function begin(...files: string[]): Promise<void> {
    // Each is looked at every five seconds.
    const all = [...files, ...Array.from({ length: 2100 }, (_, i) => join(folder, `other-${i}`))]
    watch = new FileWatch(() => {
      changes++
      watch.watch(all)
    })
    watch.watch(all)
    await sleep(1500)
  }

  const filled = (name: string, ...files: string[]) => {
    const made = join(root, name)
    mkdirSync(made)
    for (const file of files) replace(join(made, file), name)
    return made
  }

  /** In an instant: sooner than anything is looked at. */
  async function told(change: () => void): Promise<void> {
    const before = changes
    const started = performance.now()
    change()
    while (changes === before) await sleep(20)
    expect(performance.now() - started).toBeLessThan(1500)
  }

  test.each<[string, () => { files: string[]; change: () => void }]>([
    [
      'a file',
      () => {
        const file = join(filled('certs', 'key'), 'key')
        return { files: [file], change: () => replace(file, 'after') }
      },
    ],
    [
      'a list that comes into a folder of lists',
      () => {
        const lists = filled('lists', 'first')
        return { files: [lists, join(lists, 'first')], change: () => replace(join(lists, 'second'), 'after') }
      },
    ],
    [
      'the files that Kubernetes swaps',
      () => {
        const mounted = filled('mounted')
        const names = ['crt', 'key']
        for (const version of ['..1', '..2']) filled(join('mounted', version), ...names)
        for (const name of names) symlinkSync(join('..data', name), join(mounted, name))
        symlinkSync('..1', join(mounted, '..data'))
        const change = () => swap('..2', join(mounted, '..data'))
        return { files: names.map((name) => join(mounted, name)), change }
      },
    ],
    [
      'a folder that another one replaces',
      () => {
        const [certs, others] = [filled('certs', 'key'), filled('others', 'key')]
        const change = () => {
          renameSync(certs, `${certs}.old`)
          renameSync(others, certs)
        }
        return { files: [join(certs, 'key')], change }
      },
    ],
  ])('%s: what was told is not told again when it is looked at', async (_what, made) => {
    const { files, change } = made()
    await begin(...files)
    await told(change)
    await sleep(6500)
    expect(changes).toBe(1)
  })

  test('where one folder takes the place of another, what changes in it is told as before', async () => {
    const [certs, others] = [filled('certs', 'key'), filled('others', 'key')]
    for (const version of ['first', 'second']) filled(version, 'key')
    const link = join(root, 'link')
    symlinkSync('first', link)
    await begin(join(certs, 'key'), join(link, 'key'))
    await told(() => {
      renameSync(certs, `${certs}.old`)
      renameSync(others, certs)
    })
    await told(() => replace(join(certs, 'key'), 'after'))
    // A file with the name of its folder is not the folder.
    replace(join(certs, 'certs'), 'of no concern')
    await sleep(600)
    await told(() => replace(join(certs, 'key'), 'again'))
    swap('second', link)
    for (const before = changes; changes === before; ) await sleep(20)
    await sleep(600)
    await told(() => replace(join(link, 'key'), 'after'))
  })

  test('changes that never cease are told all the same', async () => {
    const lists = filled('lists', 'first')
    await begin(lists, join(lists, 'first'))
    for (const end = performance.now() + 14_000; changes === 0 && performance.now() < end; ) {
      writeFileSync(join(lists, 'first'), 'written without end')
      await sleep(50)
    }
    expect(changes).toBe(1)
  })
})

/** As a symlink is replaced without a moment in which there is none. */
function swap(target: string, link: string): void {
  symlinkSync(target, `${link}.new`)
  renameSync(`${link}.new`, link)
}

test('a stop that lets go of thousands of files keeps nobody waiting, and nothing is told after it', async () => {
  const present = files.slice(0, 2)
  const many = [...Array.from({ length: 10_000 }, (_, i) => join(folder, `absent-${i}`)), ...present]
  for (const file of present) replace(file, 'before')
  let changes = 0
  const watch = new FileWatch(() => changes++)
  watch.watch(many)
  await sleep(1500)
  const computing = process.threadCpuUsage()
  watch.stop()
  const { user, system } = process.threadCpuUsage(computing)
  expect((user + system) / 1000).toBeLessThan(20)
  replace(present[0] as string, 'after')
  await sleep(1000)
  expect(changes).toBe(0)
})
